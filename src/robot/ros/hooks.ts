/**
 * Everything that reaches behind rclnodejs' public interface, in one place, each with its reason. `checkHooks` refuses a
 * version in which something is not where it is expected; test/ros/hooks.ros.ts holds what each does.
 */
import { RosError, messageOf } from '../../errors.js';
import type { RosMessage } from '../messages/cdr.js';
import { type Containment } from './contained.js';
import type {
  Handle,
  RclActionClient,
  RclActionServer,
  RclAddon,
  RclLibrary,
  RclNode,
  RclNodeClass,
} from './library.js';
import type { StateMachine } from './lifecycle.js';

/** Messages of one wake-up and subscription at most: then timers have their turn. */
const MOST_PER_WAKE = 100;

const expected: Readonly<Record<string, readonly string[]>> = {
  Node: ['execute', '_init', '_runWithMessageType', '_getNativeParameterOverrides'],
  LifecycleNode: ['_onChangeState'],
  ActionServer: [
    'processCancelRequest',
    '_executeCancelRequest',
    'notifyExecute',
    '_executeGoal',
    '_sendResultResponse',
  ],
};

/** @throws RosError naming what this rclnodejs lacks. */
export function checkHooks(rcl: RclLibrary, addon: RclAddon): void {
  const classes: Readonly<Record<string, { readonly prototype: object }>> = {
    Node: rcl.Node,
    LifecycleNode: rcl.lifecycle.LifecycleNode,
    ActionServer: rcl.ActionServer,
  };
  const missing = Object.entries(expected).flatMap(([name, methods]) =>
    methods.filter((m) => !(m in classes[name]!.prototype)).map((m) => `${name}.${m}`),
  );
  for (const name of ['getParameterOverrides', 'triggerLifecycleTransitionByLabel'] as const)
    if (typeof addon[name] !== 'function') missing.push(`native ${name}`);
  if (missing.length > 0)
    throw new RosError(
      `rclnodejs: got a version without ${missing.join(', ')}, expected 2.2.0 (npm run ros:install)`,
    );
}

/**
 * A node class that no message can bring down. rclnodejs calls `execute` from C++, where any exception aborts the
 * process: what a hostile request makes the library itself throw as well as what a callback throws. Each message is taken
 * in `_runWithMessageType`; caught there, it costs no other message of the same wake-up.
 *
 * Parameters are ours (parameters.ts), so the library's reading of the command line is left out: it fails on integer
 * arrays, even those of other nodes in a shared file.
 *
 * @param args of this node alone, which the library's lifecycle node does not take; null: those of the process.
 */
export function containedNodeClass(
  base: RclNodeClass,
  containment: Containment,
  args: readonly string[] | null,
): RclNodeClass {
  return class extends base {
    #taken = 0;

    override _init(name: string, namespace: string, options: object, context: object): void {
      super._init(name, namespace, options, context, args ?? [], args === null);
    }

    override createSubscription(...given: Parameters<RclNode['createSubscription']>): object {
      const [type, topic, options, callback] = given;
      return super.createSubscription(type, topic, options, (message) => {
        this.#taken++;
        callback(message);
      });
    }

    /**
     * The library takes one message of each subscription per wake-up, and a wake-up is a hand-over between two threads:
     * on a busy machine there are fewer of them than messages. So what else has come is taken at once; and after a burst,
     * what came to the others meanwhile: else the joints of 60 ms stood beside a /clock from before them, and control saw
     * readings from the future.
     */
    override execute(handles: readonly Handle[]): void {
      const executeAll = super.execute.bind(this);
      containment.run('rclnodejs', () => {
        executeAll(handles);
        const all = this._subscriptions.map(({ handle }) => handle);
        const ready = all.filter((handle) => handles.includes(handle));
        if (ready.length === 0) return;
        const first = this.#taken;
        for (let i = 1, before = -1; i < MOST_PER_WAKE && this.#taken !== before; i++) {
          before = this.#taken;
          executeAll(ready);
        }
        if (this.#taken > first && ready.length < all.length) executeAll(all);
      });
    }

    override _runWithMessageType: RclNode['_runWithMessageType'] = (Type, use) => {
      const message = new Type();
      containment.run(`message ${Type.name ?? ''}`.trim(), () => {
        use(message.toRawROS(), () => {
          const result = new Type();
          result.deserialize(message.refObject);
          return result;
        });
      });
      Type.destroyRawROS(message);
    };

    override _getNativeParameterOverrides(): Map<string, unknown> {
      return new Map();
    }
  };
}

/**
 * A lifecycle node whose `~/change_state` is answered by `answer`, after as long as it takes. The library's own runs
 * synchronous callbacks only, and throws on a transition that is not possible.
 */
export function lifecycleNodeClass(
  base: RclNodeClass,
  containment: Containment,
  answer: (asked: { readonly id: number; readonly label: string }) => Promise<boolean>,
): RclNodeClass {
  return class extends base {
    override async _onChangeState(
      request: RosMessage,
      response: { send(response: RosMessage): void },
    ): Promise<void> {
      let success = false;
      try {
        success = await answer(request['transition'] as { id: number; label: string });
      } catch (error) {
        containment.failed('service ~/change_state', error);
      }
      containment.run('service ~/change_state', () => {
        response.send({ success });
      });
    }
  };
}

/** The state machine of rcl, without the library's synchronous callbacks in between. */
export function stateMachineOf(node: RclNode, addon: RclAddon): StateMachine {
  const trigger = (label: string): void => {
    try {
      addon.triggerLifecycleTransitionByLabel(node._stateMachineHandle, label);
    } catch (error) {
      throw new RosError(`lifecycle ${label}: ${messageOf(error)}`);
    }
  };
  return {
    begin: (transition) => trigger(transition),
    end: (outcome) => trigger(`transition_${outcome}`),
  };
}

/** All three go on after the call from C++ has returned, where a throw would be an unhandled rejection: also an end. */
export function containActionServer(
  server: RclActionServer,
  name: string,
  containment: Containment,
): void {
  server.processCancelRequest = (header, request) => {
    containment.run(`cancel request to ${name}`, () =>
      server._executeCancelRequest(header, request),
    );
  };
  server.notifyExecute = (goal, callback) => {
    containment.run(`goal of ${name}`, () =>
      server._executeGoal(callback ?? server._callback, goal),
    );
  };
  const sendResult = server._sendResultResponse.bind(server);
  server._sendResultResponse = (header, result) => {
    containment.run(`result of ${name}`, () => {
      sendResult(header, result);
    });
  };
}

/** The library keeps the feedback callback of every goal for ever. */
export function forgetFeedback(client: RclActionClient, goalId: Uint8Array): void {
  client._feedbackCallbacks.delete(Array.from(goalId).join(','));
}
