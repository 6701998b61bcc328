/** A RosNode over a node of rclnodejs. */
import { RosError, messageOf } from '../../errors.js';
import { encodeCdr, type RosMessage } from '../messages/cdr.js';
import { isKnownType, schemaOf, shortName } from '../messages/schemas.js';
import { makeActionClient } from './actionClient.js';
import { makeActionServer } from './actionServer.js';
import { type Containment } from './contained.js';
import type {
  RclEndpoint,
  RclLibrary,
  RclMessageClass,
  RclNode,
  RclServiceClass,
  RclServiceResponse,
} from './library.js';
import { outgoing, type FieldsOf } from './nativeMessages.js';
import { asked, askedLater, onceDisposable, type NodeParts } from './nodeParts.js';
import type { Parameters } from './parameters.js';
import { serveParameters } from './parameterServices.js';
import type { Disposable, Endpoint, Qos, RosClient, RosNode, RosPublisher } from './ros.js';

/** rmw_qos_*_policy_t of rmw/types.h */
const history = { keepLast: 1, keepAll: 2 } as const;
const reliability = { reliable: 1, bestEffort: 2 } as const;
const durability = { transientLocal: 1, volatile: 2 } as const;

export function makeRosNode(
  rcl: RclLibrary,
  node: RclNode,
  containment: Containment,
  parameters: Parameters,
): RosNode {
  const fieldsOf: FieldsOf = (type) => (rcl.require(type) as RclMessageClass).ROSMessageDef.fields;
  const parts: NodeParts = { rcl, node, containment, fieldsOf };
  const made: RosNode = {
    name: node.name(),
    namespace: node.namespace(),
    fullName: node.getFullyQualifiedName(),
    log: node.getLogger(),
    failures: containment.failures,
    resolve: (name) => node.resolveTopicName(name),
    subscribe: (type, topic, qos, onMessage) =>
      subscribe(parts, type, topic, qos, 'typed', onMessage),
    subscribeRaw: (type, topic, qos, onBytes) => subscribe(parts, type, topic, qos, 'raw', onBytes),
    publisher: (type, topic, qos) => makePublisher(parts, type, topic, qos),
    service: (type, name, answer) => makeService(parts, type, name, answer),
    client: (type, name) => makeClient(parts, type, name),
    actionServer: (type, name, handlers) => makeActionServer(parts, type, name, handlers),
    actionClient: (type, name) => makeActionClient(parts, type, name),
    publishersOf: (topic) =>
      node.getPublishersInfoByTopic(node.resolveTopicName(topic)).map(endpointFrom),
    subscriptionsOf: (topic) =>
      node.getSubscriptionsInfoByTopic(node.resolveTopicName(topic)).map(endpointFrom),
    declareParameter: (parameter) => parameters.declare(parameter),
    parameter: (name) => parameters.get(name),
    onParameterChange: (veto) => {
      parameters.onChange(veto);
    },
    onParameterChanged: (changed) => {
      parameters.onChanged(containment.wrap('parameter listener', changed));
    },
  };
  serveParameters(made, parameters, () => {
    const ns = node.getClock().now().nanoseconds;
    return { sec: Number(ns / 1_000_000_000n), nanosec: Number(ns % 1_000_000_000n) };
  });
  return made;
}

function qosFrom(rcl: RclLibrary, qos: Qos): object {
  return new rcl.QoS(
    qos.depth === 0 ? history.keepAll : history.keepLast,
    qos.depth,
    reliability[qos.reliability],
    durability[qos.durability],
  );
}

function endpointFrom(info: RclEndpoint): Endpoint {
  const { depth, history: kept, reliability: delivery, durability: memory } = info.qos_profile;
  return {
    node: `${info.node_namespace.replace(/\/$/, '')}/${info.node_name}`,
    type: info.topic_type,
    qos: {
      depth: kept === history.keepAll ? 0 : depth,
      reliability: delivery === reliability.bestEffort ? 'bestEffort' : 'reliable',
      durability: memory === durability.transientLocal ? 'transientLocal' : 'volatile',
    },
  };
}

function subscribe(
  { rcl, node, containment }: NodeParts,
  type: string,
  topic: string,
  qos: Qos,
  form: 'typed' | 'raw',
  onMessage: (message: never) => void,
): Disposable {
  const callback = containment.wrap(`subscription ${topic}`, onMessage);
  const options = { qos: qosFrom(rcl, qos), isRaw: form === 'raw' };
  const subscription = asked(`subscription ${topic} (${type})`, () =>
    // One named argument: with more, the library would hand over message information, too.
    node.createSubscription(type, topic, options, (message) => callback(message)),
  );
  return onceDisposable(() => {
    node.destroySubscription(subscription);
  });
}

function makePublisher(
  { rcl, node, fieldsOf }: NodeParts,
  type: string,
  topic: string,
  qos: Qos,
): RosPublisher {
  const publisher = asked(`publisher ${topic} (${type})`, () =>
    node.createPublisher(type, topic, { qos: qosFrom(rcl, qos) }),
  );
  const short = shortName(type);
  const where = `topic ${publisher.topic}`;
  const encode = isKnownType(short)
    ? (message: RosMessage): Buffer => {
        const cdr = encodeCdr(schemaOf(short).layout, message, where);
        return Buffer.from(cdr.buffer, cdr.byteOffset, cdr.byteLength);
      }
    : (message: RosMessage): RosMessage => outgoing(message, fieldsOf(type), fieldsOf, where);
  return {
    topic: publisher.topic,
    get subscriptions() {
      return publisher.subscriptionCount;
    },
    publish: (message) => {
      const encoded = encode(message);
      asked(where, () => {
        publisher.publish(encoded);
      });
    },
    ...onceDisposable(() => {
      node.destroyPublisher(publisher);
    }),
  };
}

function makeService(
  { rcl, node, containment, fieldsOf }: NodeParts,
  type: string,
  name: string,
  answer: (request: RosMessage) => RosMessage | Promise<RosMessage>,
): Disposable {
  const what = `service ${name}`;
  const service = asked(`${what} (${type})`, () => {
    const { fields } = (rcl.require(type) as RclServiceClass).Response.ROSMessageDef;
    return node.createService(type, name, async (request, response) => {
      try {
        response.send(outgoing(await answer(request), fields, fieldsOf, what));
      } catch (error) {
        containment.failed(what, error);
        containment.run(what, () => {
          response.send(failureAnswer(response, error));
        });
      }
    });
  });
  return onceDisposable(() => {
    node.destroyService(service);
  });
}

/** A service that failed still answers: empty, with `success: false` and the reason where the type has room for them. */
function failureAnswer(response: RclServiceResponse, error: unknown): RosMessage {
  const { template } = response;
  return {
    ...('success' in template ? { success: false } : {}),
    ...('message' in template ? { message: messageOf(error) } : {}),
  };
}

function makeClient({ rcl, node, fieldsOf }: NodeParts, type: string, name: string): RosClient {
  const what = `service ${name}`;
  const client = asked(`${what} (${type})`, () => node.createClient(type, name));
  const { fields } = (rcl.require(type) as RclServiceClass).Request.ROSMessageDef;
  return {
    isReady: () => client.isServiceServerAvailable(),
    call: async (request, timeoutMs) => {
      const message = outgoing(request, fields, fieldsOf, what);
      const startedAt = performance.now();
      const where = `${what} (${type})`;
      if (!(await askedLater(where, () => client.waitForService(timeoutMs))))
        throw new RosError(`${where}: no server within ${timeoutMs} ms`);
      const left = Math.max(1, Math.round(timeoutMs - (performance.now() - startedAt)));
      return askedLater(where, () => client.sendRequestAsync(message, { timeout: left }));
    },
    ...onceDisposable(() => {
      node.destroyClient(client);
    }),
  };
}
