#!/usr/bin/env python3
"""An independent ROS 2 node (rclpy) that a test drives by JSON lines on stdin and stdout (peer.ts).

Every output of this project is thus decoded by another implementation than the one that made it.

Requests:  {"id": 1, "op": "publish", ...}   answered by {"id": 1, "result": ...} or {"id": 1, "error": "..."}.
Events:    {"event": "message", "subscription": 1, "message": {...}, "atNs": monotonic ns}
           {"event": "feedback" | "result" | "goal" | "cancel" | "request", ...}

Messages are objects by field name. Byte arrays are {"base64": "..."}, non-finite numbers {"number": "NaN"}, integers
beyond 2^53 {"bigint": "..."}; all else is plain JSON.
"""
import array
import base64
import json
import math
import os
import sys
import threading
import time

import rclpy
from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient, ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import MultiThreadedExecutor
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rosidl_runtime_py.utilities import get_action, get_message, get_service

out_lock = threading.Lock()


def emit(record):
    text = json.dumps(record, allow_nan=False, separators=(',', ':'))
    with out_lock:
        sys.stdout.write(text + '\n')
        sys.stdout.flush()


# ── Messages ────────────────────────────────────────────────────────────────────────────────────────────────────────


def to_json(value):
    if hasattr(value, 'get_fields_and_field_types'):
        return {name: to_json(getattr(value, name)) for name in value.get_fields_and_field_types()}
    if isinstance(value, bytes):
        return {'base64': base64.b64encode(value).decode()}
    if isinstance(value, array.array):
        if value.typecode == 'B':
            return {'base64': base64.b64encode(value.tobytes()).decode()}
        return [to_json(x) for x in value.tolist()]
    if hasattr(value, 'tolist') and not isinstance(value, (str, int, float, bool)):
        if str(value.dtype) == 'uint8':
            return {'base64': base64.b64encode(value.tobytes()).decode()}
        return [to_json(x) for x in value.tolist()]
    if isinstance(value, (list, tuple)):
        return [to_json(x) for x in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {'number': 'NaN' if math.isnan(value) else 'Infinity' if value > 0 else '-Infinity'}
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 2**53:
        return {'bigint': str(value)}
    return value


def plain(value):
    """A JSON value that stands for one JSON cannot hold."""
    if isinstance(value, dict) and len(value) == 1:
        if 'base64' in value:
            return base64.b64decode(value['base64'])
        if 'number' in value:
            return float(value['number'].replace('Infinity', 'inf'))
        if 'bigint' in value:
            return int(value['bigint'])
    return value


def fill(message, fields):
    """Sets the fields that are given; raises for one the type does not have."""
    types = message.get_fields_and_field_types()
    for name, given in fields.items():
        if name not in types:
            raise ValueError(f'{type(message).__name__} has no field {name}')
        setattr(message, name, converted(types[name], getattr(message, name), plain(given)))
    return message


def converted(type_name, current, value):
    if hasattr(current, 'get_fields_and_field_types'):
        return fill(current, value)
    element = element_type(type_name)
    if element is not None:
        if isinstance(value, bytes):
            return list(value)
        if '/' in element:
            package, name = element.split('/')
            cls = get_message(f'{package}/msg/{name}')
            return [fill(cls(), x) for x in value]
        return [scalar(element, plain(x)) for x in value]
    return scalar(type_name, value)


def element_type(type_name):
    if type_name.startswith('sequence<'):
        return type_name[len('sequence<'):-1].split(',')[0]
    return type_name[: type_name.index('[')] if '[' in type_name else None


def scalar(type_name, value):
    return float(value) if type_name in ('double', 'float') else value


def qos_from(given):
    given = given or {}
    depth = given.get('depth', 10)
    return QoSProfile(
        history=HistoryPolicy.KEEP_ALL if depth == 0 else HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.BEST_EFFORT
        if given.get('reliability') == 'bestEffort'
        else ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL
        if given.get('durability') == 'transientLocal'
        else DurabilityPolicy.VOLATILE,
    )


def endpoint(info):
    return {
        'node': f"{info.node_namespace.rstrip('/')}/{info.node_name}",
        'type': info.topic_type,
        'reliability': info.qos_profile.reliability.name,
        'durability': info.qos_profile.durability.name,
        'depth': info.qos_profile.depth,
    }


statuses = {
    GoalStatus.STATUS_SUCCEEDED: 'succeeded',
    GoalStatus.STATUS_ABORTED: 'aborted',
    GoalStatus.STATUS_CANCELED: 'canceled',
}


class Peer:
    def __init__(self, name):
        self.node = rclpy.create_node(name)
        self.group = ReentrantCallbackGroup()
        self.publishers = {}
        self.subscriptions = {}
        self.clients = {}
        self.action_clients = {}
        self.sent_goals = {}
        self.served_goals = {}
        self.servers = []
        self.loops = {}
        self.counter = 0

    def number(self):
        self.counter += 1
        return self.counter

    # ── Topics ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def publisher(self, r):
        key = (r['topic'], r['type'], json.dumps(r.get('qos'), sort_keys=True))
        if key not in self.publishers:
            self.publishers[key] = self.node.create_publisher(
                get_message(r['type']), r['topic'], qos_from(r.get('qos'))
            )
        return self.publishers[key]

    def op_advertise(self, r):
        self.publisher(r)

    def op_publish(self, r):
        self.publisher(r).publish(fill(get_message(r['type'])(), r['message']))

    def op_publishRaw(self, r):
        self.publisher(r).publish(base64.b64decode(r['base64']))

    def op_publishRate(self, r):
        """Publishes until stopRate, each time with the stamp of now in header.stamp where `stamp` says so."""
        publisher = self.publisher(r)
        message = fill(get_message(r['type'])(), r['message'])
        period = 1.0 / r['hz']
        number, stop = self.number(), threading.Event()

        def run():
            due = time.monotonic()
            while not stop.is_set():
                if r.get('stamp'):
                    message.header.stamp = self.node.get_clock().now().to_msg()
                publisher.publish(message)
                due += period
                stop.wait(max(0.0, due - time.monotonic()))

        self.loops[number] = stop
        threading.Thread(target=run, daemon=True).start()
        return number

    def op_clock(self, r):
        """Publishes /clock until stopRate: from `startNs`, `rate` seconds of it per second, `hz` times a second."""
        publisher = self.publisher(
            {'topic': '/clock', 'type': 'rosgraph_msgs/msg/Clock',
             'qos': {'reliability': 'bestEffort', 'depth': 1}}
        )
        message = get_message('rosgraph_msgs/msg/Clock')()
        number, stop = self.number(), threading.Event()
        began, start = time.monotonic_ns(), int(r['startNs'])

        def run():
            while not stop.is_set():
                now = start + int((time.monotonic_ns() - began) * r.get('rate', 1.0))
                message.clock.sec, message.clock.nanosec = now // 10**9, now % 10**9
                publisher.publish(message)
                stop.wait(1.0 / r.get('hz', 250))

        self.loops[number] = stop
        threading.Thread(target=run, daemon=True).start()
        return number

    def op_stopRate(self, r):
        self.loops.pop(r['loop']).set()

    def op_subscribe(self, r):
        number = self.number()
        keep = r.get('keep', 'all')

        def told(message, info):
            emit({'event': 'message', 'subscription': number, 'atNs': str(time.monotonic_ns()),
                  'sentNs': str(info['source_timestamp']),
                  'message': None if keep == 'count' else to_json(message)})

        self.subscriptions[number] = self.node.create_subscription(
            get_message(r['type']), r['topic'], told, qos_from(r.get('qos'))
        )
        return number

    def op_unsubscribe(self, r):
        self.node.destroy_subscription(self.subscriptions.pop(r['subscription']))

    # ── Services ────────────────────────────────────────────────────────────────────────────────────────────────────

    def op_call(self, r, answer):
        cls = get_service(r['type'])
        key = (r['service'], r['type'])
        if key not in self.clients:
            self.clients[key] = self.node.create_client(cls, r['service'], callback_group=self.group)
        client = self.clients[key]
        request = fill(cls.Request(), r['request'])

        def run():
            deadline = time.monotonic() + r['ms'] / 1000
            if not client.wait_for_service(timeout_sec=r['ms'] / 1000):
                raise TimeoutError(f"no service {r['service']} within {r['ms']} ms")
            done = threading.Event()
            future = client.call_async(request)
            future.add_done_callback(lambda _: done.set())
            if not done.wait(max(0.01, deadline - time.monotonic())):
                client.remove_pending_request(future)
                raise TimeoutError(f"service {r['service']} did not answer within {r['ms']} ms")
            return to_json(future.result())

        in_thread(run, answer)

    def op_serve(self, r):
        cls = get_service(r['type'])

        def told(request, response):
            emit({'event': 'request', 'service': r['service'], 'request': to_json(request)})
            time.sleep(r.get('delayMs', 0) / 1000)
            return fill(response, r['response'])

        self.servers.append(
            self.node.create_service(cls, r['service'], told, callback_group=self.group)
        )

    # ── Actions ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def op_sendGoal(self, r, answer):
        cls = get_action(r['type'])
        key = (r['action'], r['type'])
        if key not in self.action_clients:
            self.action_clients[key] = ActionClient(
                self.node, cls, r['action'], callback_group=self.group
            )
        client = self.action_clients[key]
        goal = fill(cls.Goal(), r['goal'])
        number = self.number()

        def fed(feedback):
            emit({'event': 'feedback', 'goal': number, 'message': to_json(feedback.feedback)})

        def ended(future):
            response = future.result()
            emit({'event': 'result', 'goal': number, 'message': to_json(response.result),
                  'status': statuses.get(response.status, 'unknown')})

        def run():
            if not client.wait_for_server(timeout_sec=r['ms'] / 1000):
                raise TimeoutError(f"no action {r['action']} within {r['ms']} ms")
            done = threading.Event()
            future = client.send_goal_async(goal, feedback_callback=fed)
            future.add_done_callback(lambda _: done.set())
            if not done.wait(r['ms'] / 1000):
                raise TimeoutError(f"action {r['action']} did not answer within {r['ms']} ms")
            handle = future.result()
            if handle.accepted:
                self.sent_goals[number] = handle
                handle.get_result_async().add_done_callback(ended)
            return {'goal': number, 'accepted': handle.accepted}

        in_thread(run, answer)

    def op_cancelGoal(self, r, answer):
        handle = self.sent_goals[r['goal']]

        def run():
            done = threading.Event()
            future = handle.cancel_goal_async()
            future.add_done_callback(lambda _: done.set())
            if not done.wait(r['ms'] / 1000):
                raise TimeoutError(f"cancel was not answered within {r['ms']} ms")
            return len(future.result().goals_canceling)

        in_thread(run, answer)

    def op_serveAction(self, r):
        """Goals are told as events and wait for endGoal; `accept` and `cancel` say whether they are agreed to, the
        former after `acceptMs`."""
        cls = get_action(r['type'])

        def agreed(_):
            time.sleep(r.get('acceptMs', 0) / 1000)
            return GoalResponse.ACCEPT if r.get('accept', True) else GoalResponse.REJECT

        def execute(handle):
            number = self.number()
            wait = {'handle': handle, 'ended': threading.Event(), 'class': cls}
            self.served_goals[number] = wait
            emit({'event': 'goal', 'action': r['action'], 'goal': number,
                  'request': to_json(handle.request), 'atNs': str(time.monotonic_ns())})
            told = False
            while not wait['ended'].wait(0.005):
                if handle.is_cancel_requested and not told:
                    told = True
                    emit({'event': 'cancel', 'action': r['action'], 'goal': number})
            getattr(handle, {'succeeded': 'succeed', 'aborted': 'abort', 'canceled': 'canceled'}[
                wait['status']])()
            return fill(cls.Result(), wait['result'])

        self.servers.append(ActionServer(
            self.node, cls, r['action'], execute, callback_group=self.group,
            goal_callback=agreed,
            cancel_callback=lambda _: CancelResponse.ACCEPT if r.get('cancel', True) else CancelResponse.REJECT,
        ))

    def op_feedback(self, r):
        served = self.served_goals[r['goal']]
        served['handle'].publish_feedback(fill(served['class'].Feedback(), r['message']))

    def op_endGoal(self, r):
        served = self.served_goals.pop(r['goal'])
        served['status'], served['result'] = r['status'], r.get('result', {})
        served['ended'].set()

    # ── Graph ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def op_topics(self, _):
        return dict(self.node.get_topic_names_and_types())

    def op_services(self, _):
        return dict(self.node.get_service_names_and_types())

    def op_nodes(self, _):
        return [f"{ns.rstrip('/')}/{name}" for name, ns in self.node.get_node_names_and_namespaces()]

    def op_publishers(self, r):
        return [endpoint(i) for i in self.node.get_publishers_info_by_topic(r['topic'])]

    def op_subscribers(self, r):
        return [endpoint(i) for i in self.node.get_subscriptions_info_by_topic(r['topic'])]


def in_thread(run, answer):
    def body():
        try:
            answer(result=run())
        except Exception as error:  # told to the test, whatever it is
            answer(error=f'{type(error).__name__}: {error}')

    threading.Thread(target=body, daemon=True).start()


def handle(peer, request):
    def answer(**fields):
        emit({'id': request['id'], **fields})

    try:
        op = getattr(peer, f"op_{request['op']}", None)
        if op is None:
            raise ValueError(f"no operation {request['op']}")
        if op.__code__.co_argcount == 3:
            op(request, answer)
        else:
            answer(result=op(request))
    except Exception as error:  # told to the test, whatever it is
        answer(error=f"{request.get('op')} {request.get('type', '')}: {type(error).__name__}: {error}")


def main():
    rclpy.init()
    peer = Peer(sys.argv[1] if len(sys.argv) > 1 else 'test_peer')
    executor = MultiThreadedExecutor(num_threads=4)
    executor.add_node(peer.node)
    threading.Thread(target=executor.spin, daemon=True).start()
    emit({'event': 'ready'})
    for line in sys.stdin:
        if line.strip():
            handle(peer, json.loads(line))
    # stdin closed: the test is over. Threads are daemons, and a blocked one must not keep the process.
    sys.stdout.flush()
    os._exit(0)


main()
