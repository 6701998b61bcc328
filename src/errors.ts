/** Errors of the program's edges. What goes wrong while an arm moves is a Verdict or a Refusal, never an exception. */

/** Input that does not fit: says where, what was got, what was expected. */
export class InputError extends Error {
  override name = 'InputError';
  readonly where: string;
  readonly got: string;
  readonly expected: string;
  constructor(where: string, got: string, expected: string) {
    super(`${where}: got ${got}, expected ${expected}`);
    this.where = where;
    this.got = got;
    this.expected = expected;
  }
}

/** robot.yaml, model.json and other settings. */
export class ConfigError extends InputError {
  override name = 'ConfigError';
}

/** A model folder, checkpoint or graph that cannot be used: never the fault of what it is asked. */
export class ModelError extends InputError {
  override name = 'ModelError';
}

/** A model whose contract does not fit the robot it is asked to drive. */
export class MismatchError extends InputError {
  override name = 'MismatchError';
}

/** A bag, message or image that cannot be read. */
export class DataError extends InputError {
  override name = 'DataError';
}

/** Something other than a guarded command was handed to a robot. A bug, never an operating state. */
export class UnguardedCommandError extends Error {
  override name = 'UnguardedCommandError';
}

/** ROS 2 is not here, does not answer, or refuses: says what was asked and what came of it. */
export class RosError extends Error {
  override name = 'RosError';
}

/** What stands at a path of parsed JSON or YAML, shortened: the "got" of an error. */
export function gotAt(raw: unknown, path: readonly PropertyKey[]): string {
  let value = raw;
  for (const key of path) {
    value =
      typeof value === 'object' && value !== null
        ? (value as Record<PropertyKey, unknown>)[key]
        : undefined;
  }
  return value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 80);
}

/** What anything that was thrown says. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
