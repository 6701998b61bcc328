/** What the parts of a node are made from, and how they fail. */
import { RosError, messageOf } from '../../errors.js';
import { type Containment } from './contained.js';
import type { RclLibrary, RclNode } from './library.js';
import type { FieldsOf } from './nativeMessages.js';
import type { Disposable } from './ros.js';

export interface NodeParts {
  readonly rcl: RclLibrary;
  readonly node: RclNode;
  readonly containment: Containment;
  readonly fieldsOf: FieldsOf;
}

/** @throws RosError with the library's own words, after what was asked of it. */
export function asked<T>(what: string, ask: () => T): T {
  try {
    return ask();
  } catch (error) {
    throw error instanceof RosError ? error : new RosError(`${what}: ${wordsOf(error)}`);
  }
}

/** As `asked`, of what answers later. */
export async function askedLater<T>(what: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    return asked(what, () => {
      throw error;
    });
  }
}

/** The library names its own folder where it knows no such type. */
function wordsOf(error: unknown): string {
  const reason = messageOf(error);
  const unknown = /^The message required does not exist: (\w+), (\w+), (\w+)/.exec(reason);
  if (!unknown) return reason;
  const [, pkg, kind, name] = unknown;
  return `got no interface ${pkg!}/${kind!}/${name!}, expected the workspace that has it to be sourced`;
}

export function onceDisposable(dispose: () => void): Disposable {
  let disposed = false;
  return {
    dispose: () => {
      if (disposed) return;
      disposed = true;
      dispose();
    },
  };
}
