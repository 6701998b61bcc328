/** Parameters of another node, as its own services tell them. */
import { RosError } from '../../../errors.js';
import type { RosMessage } from '../../messages/cdr.js';
import type { RosNode } from '../ros.js';

export type RemoteValue = boolean | number | string | readonly (boolean | number | string)[];
export type RemoteParameters = ReadonlyMap<string, RemoteValue>;

/** rcl_interfaces/msg/ParameterType, in its order; null: not set, or bytes. */
const fields = [
  null,
  'bool_value',
  'integer_value',
  'double_value',
  'string_value',
  null,
  'bool_array_value',
  'integer_array_value',
  'double_array_value',
  'string_array_value',
] as const;

/**
 * All parameters of the node `remote`. (Its list first: a node asked for one it does not have answers with none at all.)
 * @throws RosError where there is no such node, or it does not answer in time.
 */
export async function readParameters(
  node: RosNode,
  remote: string,
  timeoutMs: number,
): Promise<RemoteParameters> {
  const listed = await ask(node, remote, 'list_parameters', 'ListParameters', timeoutMs, {
    prefixes: [],
    depth: 0n,
  });
  const names = [...(listed['result'] as { names: readonly string[] }).names];
  const got = await ask(node, remote, 'get_parameters', 'GetParameters', timeoutMs, { names });
  const values = got['values'] as readonly RosMessage[];
  const found = new Map<string, RemoteValue>();
  names.forEach((name, i) => {
    const value = values[i] && remoteValue(values[i]);
    if (value !== undefined) found.set(name, value);
  });
  return found;
}

function remoteValue(message: RosMessage): RemoteValue | undefined {
  const field = fields[Number(message['type'])];
  if (!field) return undefined;
  const value = message[field];
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value) || ArrayBuffer.isView(value))
    return Array.from(value as ArrayLike<unknown>, (element) =>
      typeof element === 'bigint' ? Number(element) : (element as string),
    );
  return value as RemoteValue;
}

async function ask(
  node: RosNode,
  remote: string,
  service: string,
  type: string,
  timeoutMs: number,
  request: RosMessage,
): Promise<RosMessage> {
  const client = node.client(`rcl_interfaces/srv/${type}`, `${remote}/${service}`);
  try {
    await untilReady(client, timeoutMs, `service ${remote}/${service}`);
    return await client.call(request, timeoutMs);
  } finally {
    client.dispose();
  }
}

/** Discovery takes a moment. @throws RosError where nothing is there in time. */
export async function untilReady(
  peer: { isReady(): boolean },
  timeoutMs: number,
  what: string,
): Promise<void> {
  if (!(await becomes(() => peer.isReady(), timeoutMs)))
    throw new RosError(`${what}: not there after ${timeoutMs} ms`);
}

/** Whether `isTrue` becomes true in time; looked at every 20 ms. */
export async function becomes(isTrue: () => boolean, timeoutMs: number): Promise<boolean> {
  for (let left = timeoutMs; !isTrue(); left -= 20) {
    if (left <= 0) return false;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return true;
}
