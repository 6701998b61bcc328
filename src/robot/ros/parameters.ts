/**
 * The parameters of one node: declared with a description and a range, changed only to what fits, and only with the
 * application's consent. Pure: parameterServices.ts puts them on the wire.
 *
 * Why not the client library's: it answers a value out of range with a wrong reason, describes no ranges, dies of a request
 * for a parameter without a name, and of an integer array in a shared parameter file.
 */
import { RosError, messageOf } from '../../errors.js';
import type { RosMessage } from '../messages/cdr.js';
import {
  askedFrom,
  descriptorMessage,
  valueMessage,
  type AskedValue,
  type ParameterKind,
} from './parameterMessages.js';

import type { RclOverrides } from './library.js';
import type { ParameterDescription, ParameterValue } from './ros.js';

type Changes = ReadonlyMap<string, ParameterValue>;

interface Declared {
  readonly description: ParameterDescription;
  readonly kind: ParameterKind;
  value: ParameterValue;
}

/**
 * The values that the command line and parameter files give one node. Names as rclcpp reads them: `*` stands for one part,
 * `**` for any number, and a name without a leading slash has one. Later ones win.
 */
export function overridesFor(
  given: readonly RclOverrides[],
  fullName: string,
): ReadonlyMap<string, AskedValue> {
  const found = new Map<string, AskedValue>();
  for (const { name, parameters } of given) {
    const pattern = (name.startsWith('/') ? name : `/${name}`)
      .split('/')
      .slice(1)
      .map((part) => (part === '**' ? '(/\\w+)*' : part === '*' ? '/\\w+' : `/${escaped(part)}`))
      .join('');
    if (!new RegExp(`^${pattern}$`).test(fullName)) continue;
    for (const p of parameters) found.set(p.name, askedFrom(p.type, p.value));
  }
  return found;
}

const escaped = (text: string): string => text.replace(/[^\w]/g, '\\$&');

export class Parameters {
  private readonly overrides: ReadonlyMap<string, AskedValue>;
  private readonly declared = new Map<string, Declared>();
  private readonly vetoes: ((changes: Changes) => string | null)[] = [];
  private readonly listeners: ((changes: Changes) => void)[] = [];

  constructor(overrides: ReadonlyMap<string, AskedValue>) {
    this.overrides = overrides;
  }

  get names(): readonly string[] {
    return [...this.declared.keys()];
  }

  /** @throws RosError for a second declaration, and for a given value that does not fit. */
  declare(description: ParameterDescription): ParameterValue {
    const { name } = description;
    if (this.declared.has(name)) throw new RosError(`parameter ${name}: declared twice`);
    const parameter: Declared = {
      description,
      kind: kindOf(description),
      value: description.value,
    };
    const given = this.overrides.get(name);
    const fitted = fit(
      parameter,
      given ?? { kind: parameter.kind, kindName: '', value: description.value },
    );
    if (fitted.reason !== undefined)
      throw new RosError(`${fitted.reason}${given ? ' (command line or parameter file)' : ''}`);
    parameter.value = fitted.value;
    this.declared.set(name, parameter);
    return parameter.value;
  }

  /** @throws RosError for a parameter that was never declared. */
  get(name: string): ParameterValue {
    const parameter = this.declared.get(name);
    if (!parameter) throw new RosError(`parameter ${name}: not declared`);
    return parameter.value;
  }

  /** rcl_interfaces/msg/ParameterValue; type 0 for what is not declared. */
  valueMessage(name: string): RosMessage {
    const parameter = this.declared.get(name);
    return parameter ? valueMessage(parameter.kind, parameter.value) : { type: 0 };
  }

  /** rcl_interfaces/msg/ParameterDescriptor */
  descriptorMessage(name: string): RosMessage {
    const parameter = this.declared.get(name);
    return parameter ? descriptorMessage(parameter.description, parameter.kind) : { name, type: 0 };
  }

  onChange(veto: (changes: Changes) => string | null): void {
    this.vetoes.push(veto);
  }

  onChanged(changed: (changes: Changes) => void): void {
    this.listeners.push(changed);
  }

  /** All or nothing: null where all were changed, else why none was. */
  change(asked: readonly { readonly name: string; readonly value: AskedValue }[]): string | null {
    const changes = new Map<string, ParameterValue>();
    for (const { name, value } of asked) {
      const parameter = this.declared.get(name);
      if (!parameter) return `parameter ${name}: not declared`;
      if (parameter.description.readOnly) return `parameter ${name}: read-only`;
      const fitted = fit(parameter, value);
      if (fitted.reason !== undefined) return fitted.reason;
      changes.set(name, fitted.value);
    }
    for (const veto of this.vetoes) {
      const reason = refusal(veto, changes);
      if (reason !== null) return reason;
    }
    for (const [name, value] of changes) this.declared.get(name)!.value = value;
    for (const listener of this.listeners) listener(changes);
    return null;
  }
}

/** A veto that fails is a veto. */
function refusal(veto: (changes: Changes) => string | null, changes: Changes): string | null {
  try {
    return veto(changes);
  } catch (error) {
    return `could not be checked: ${messageOf(error)}`;
  }
}

function kindOf(description: ParameterDescription): ParameterKind {
  const { value, integer } = description;
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'string') return 'string';
  if (typeof value === 'number') return integer ? 'integer' : 'double';
  return 'stringArray';
}

type Fitted =
  { readonly value: ParameterValue; readonly reason?: undefined } | { readonly reason: string };

/** An integer is a double, too: `-p speed_scale:=1`. Numbers are finite. */
function fit(parameter: Declared, asked: AskedValue): Fitted {
  const { name, range } = parameter.description;
  const { kind } = parameter;
  const within = range ? ` in ${range.from} … ${range.to}` : '';
  const expected = `expected ${kind === 'stringArray' ? 'string array' : kind}${within}`;
  const sameKind = asked.kind === kind || (asked.kind === 'integer' && kind === 'double');
  if (!sameKind || asked.value === null)
    return { reason: `parameter ${name}: got ${asked.kindName}, ${expected}` };
  const { value } = asked;
  if (typeof value === 'number') {
    const fits =
      (kind === 'integer' ? Number.isSafeInteger(value) : Number.isFinite(value)) &&
      (!range || (value >= range.from && value <= range.to));
    if (!fits) return { reason: `parameter ${name}: got ${value}, ${expected}` };
  }
  return { value };
}
