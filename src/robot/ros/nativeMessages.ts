/**
 * Messages on their way into rclnodejs, checked by their definition: it ignores fields it does not know, coerces wrong
 * kinds, publishes typed arrays from the start of their buffer without looking at their type, and wants 64-bit integers as
 * bigint. Fields left out stay at their default, which is zero or empty.
 */
import { RosError } from '../../errors.js';
import type { RosMessage } from '../messages/cdr.js';
import type { RclField } from './library.js';

/** The fields of `package/msg/Name`. */
export type FieldsOf = (type: string) => readonly RclField[];

const integerRanges: Readonly<Record<string, readonly [number, number]>> = {
  int8: [-(2 ** 7), 2 ** 7 - 1],
  uint8: [0, 2 ** 8 - 1],
  byte: [0, 2 ** 8 - 1],
  char: [0, 2 ** 8 - 1],
  int16: [-(2 ** 15), 2 ** 15 - 1],
  uint16: [0, 2 ** 16 - 1],
  int32: [-(2 ** 31), 2 ** 31 - 1],
  uint32: [0, 2 ** 32 - 1],
};

/** @throws RosError naming a field that the type does not have, or whose value it cannot hold. `where`: the topic. */
export function outgoing(
  message: RosMessage,
  fields: readonly RclField[],
  fieldsOf: FieldsOf,
  where: string,
): RosMessage {
  const known = new Map(fields.map((field) => [field.name, field]));
  const result: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(message)) {
    const field = known.get(name);
    if (!field) throw new RosError(`${where}: ${name}: got a field the type does not have`);
    if (value !== undefined) result[name] = fieldValue(value, field, fieldsOf, `${where}: ${name}`);
  }
  return result;
}

function fieldValue(value: unknown, field: RclField, fieldsOf: FieldsOf, where: string): unknown {
  const { type, pkgName, isArray, isPrimitiveType, isFixedSizeArray, arraySize } = field.type;
  const single = (x: unknown): unknown => {
    if (isPrimitiveType) return primitive(x, type, where);
    if (typeof x !== 'object' || x === null) throw wrong(x, `${pkgName ?? ''}/${type}`, where);
    return outgoing(x as RosMessage, fieldsOf(`${pkgName ?? ''}/msg/${type}`), fieldsOf, where);
  };
  if (!isArray) return single(value);
  if (!Array.isArray(value) && !(ArrayBuffer.isView(value) && !(value instanceof DataView)))
    throw wrong(value, `${type}[]`, where);
  const elements = value as ArrayLike<unknown>;
  if (isFixedSizeArray && elements.length !== arraySize)
    throw wrong(`${elements.length} elements`, `${arraySize ?? 0}`, where);
  // Bytes as they are, in memory of their own; everything else as a plain array, which the library converts by type.
  if (value instanceof Uint8Array && (type === 'uint8' || type === 'byte'))
    return new Uint8Array(value);
  return Array.from(elements, single);
}

function primitive(value: unknown, type: string, where: string): unknown {
  if (type === 'string' || type === 'wstring') {
    if (typeof value !== 'string') throw wrong(value, type, where);
  } else if (type === 'bool') {
    if (typeof value !== 'boolean') throw wrong(value, type, where);
  } else if (type === 'int64' || type === 'uint64') {
    const whole = typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : value;
    if (typeof whole !== 'bigint' || (type === 'uint64' && whole < 0n))
      throw wrong(value, type, where);
    return whole;
  } else {
    const range = integerRanges[type];
    const fits = range
      ? Number.isInteger(value) && (value as number) >= range[0] && (value as number) <= range[1]
      : typeof value === 'number';
    if (!fits) throw wrong(value, type, where);
  }
  return value;
}

function wrong(got: unknown, expected: string, where: string): RosError {
  const shown = typeof got === 'object' && got !== null ? 'an object' : String(got).slice(0, 80);
  return new RosError(`${where}: got ${shown}, expected ${expected}`);
}
