/** The six parameter services every node has, and `/parameter_events`. */
import type { RosMessage } from '../messages/cdr.js';
import { askedFromMessage } from './parameterMessages.js';
import type { Parameters } from './parameters.js';
import type { RosNode } from './ros.js';

/** As rclcpp's: rmw_qos_profile_parameter_events. */
const eventQos = { reliability: 'reliable', durability: 'volatile', depth: 1000 } as const;

/** `stamp`: system time now, as builtin_interfaces/Time. */
export function serveParameters(
  node: Pick<RosNode, 'service' | 'publisher' | 'fullName'>,
  parameters: Parameters,
  stamp: () => RosMessage,
): void {
  const events = node.publisher('rcl_interfaces/msg/ParameterEvent', '/parameter_events', eventQos);
  parameters.onChanged((changes) => {
    events.publish({
      stamp: stamp(),
      node: node.fullName,
      changed_parameters: [...changes.keys()].map((name) => ({
        name,
        value: parameters.valueMessage(name),
      })),
    });
  });
  const serve = (type: string, name: string, answer: (r: RosMessage) => RosMessage): void => {
    node.service(`rcl_interfaces/srv/${type}`, `~/${name}`, answer);
  };

  serve('ListParameters', 'list_parameters', (r) => ({
    result: listed(parameters.names, r['prefixes'] as string[], Number(r['depth'])),
  }));
  serve('DescribeParameters', 'describe_parameters', (r) => ({
    descriptors: (r['names'] as string[]).map((name) => parameters.descriptorMessage(name)),
  }));
  serve('GetParameters', 'get_parameters', (r) => ({
    values: (r['names'] as string[]).map((name) => parameters.valueMessage(name)),
  }));
  serve('GetParameterTypes', 'get_parameter_types', (r) => ({
    types: (r['names'] as string[]).map((name) => parameters.valueMessage(name)['type']),
  }));
  serve('SetParameters', 'set_parameters', (r) => ({
    results: changesIn(r).map((change) => result(parameters.change([change]))),
  }));
  serve('SetParametersAtomically', 'set_parameters_atomically', (r) => ({
    result: result(parameters.change(changesIn(r))),
  }));
}

function changesIn(request: RosMessage) {
  return (request['parameters'] as readonly RosMessage[]).map((p) => ({
    name: p['name'] as string,
    value: askedFromMessage(p['value'] as RosMessage),
  }));
}

/** rcl_interfaces/msg/SetParametersResult */
const result = (reason: string | null): RosMessage => ({
  successful: reason === null,
  reason: reason ?? '',
});

/** rcl_interfaces/msg/ListParametersResult: names below any of the prefixes, at most `depth` parts deep (0: any). */
export function listed(
  names: readonly string[],
  prefixes: readonly string[],
  depth: number,
): RosMessage {
  const partsBelow = (name: string, prefix: string): number =>
    name.slice(prefix === '' ? 0 : prefix.length + 1).split('.').length;
  const isBelow = (name: string, prefix: string): boolean =>
    name === prefix ||
    ((prefix === '' || name.startsWith(`${prefix}.`)) &&
      (depth === 0 || partsBelow(name, prefix) <= depth));
  const found = names.filter((name) =>
    (prefixes.length > 0 ? prefixes : ['']).some((prefix) => isBelow(name, prefix)),
  );
  const parents = found
    .filter((name) => name.includes('.'))
    .map((name) => name.slice(0, name.lastIndexOf('.')));
  return { names: found, prefixes: [...new Set(parents)] };
}
