/** rcl_interfaces/msg/ParameterValue and ParameterDescriptor ↔ our values. */
import type { RosMessage } from '../messages/cdr.js';
import type { ParameterDescription, ParameterValue } from './ros.js';

/** rcl_interfaces/msg/ParameterType */
export const parameterTypes = {
  bool: 1,
  integer: 2,
  double: 3,
  string: 4,
  stringArray: 9,
} as const;
export type ParameterKind = keyof typeof parameterTypes;

const names: Readonly<Record<number, string>> = {
  0: 'nothing',
  1: 'bool',
  2: 'integer',
  3: 'double',
  4: 'string',
  5: 'byte array',
  6: 'bool array',
  7: 'integer array',
  8: 'double array',
  9: 'string array',
};

/** A value as it was asked for: of a type that need not fit. `value` is null for the types no parameter of ours has. */
export interface AskedValue {
  readonly kind: ParameterKind | null;
  readonly kindName: string;
  readonly value: ParameterValue | null;
}

export function valueMessage(kind: ParameterKind, value: ParameterValue): RosMessage {
  return { type: parameterTypes[kind], ...field(kind, value) };
}

function field(kind: ParameterKind, value: ParameterValue): RosMessage {
  switch (kind) {
    case 'bool':
      return { bool_value: value };
    case 'integer':
      return { integer_value: BigInt(value as number) };
    case 'double':
      return { double_value: value };
    case 'string':
      return { string_value: value };
    case 'stringArray':
      return { string_array_value: [...(value as readonly string[])] };
  }
}

export function askedFromMessage(message: RosMessage): AskedValue {
  const type = Number(message['type']);
  const values: Readonly<Record<number, unknown>> = {
    1: message['bool_value'],
    2: message['integer_value'],
    3: message['double_value'],
    4: message['string_value'],
    9: message['string_array_value'],
  };
  return askedFrom(type, values[type]);
}

/** `type` as in rcl_interfaces/msg/ParameterType; integers as bigint or number. */
export function askedFrom(type: number, value: unknown): AskedValue {
  const kind = (Object.keys(parameterTypes) as ParameterKind[]).find(
    (name) => parameterTypes[name] === type,
  );
  if (!kind || value === undefined)
    return { kind: null, kindName: names[type] ?? `type ${type}`, value: null };
  const plain =
    kind === 'integer' ? Number(value) : kind === 'stringArray' ? [...(value as string[])] : value;
  return { kind, kindName: names[type]!, value: plain as ParameterValue };
}

export function descriptorMessage(
  description: ParameterDescription,
  kind: ParameterKind,
): RosMessage {
  const { name, range } = description;
  return {
    name,
    type: parameterTypes[kind],
    description: description.description,
    read_only: description.readOnly ?? false,
    ...(range && kind === 'integer'
      ? {
          integer_range: [{ from_value: BigInt(range.from), to_value: BigInt(range.to), step: 1n }],
        }
      : {}),
    ...(range && kind === 'double'
      ? { floating_point_range: [{ from_value: range.from, to_value: range.to, step: 0 }] }
      : {}),
  };
}
