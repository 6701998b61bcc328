/** The fixture process (fixtures/facade.mjs), which tells what it does in lines of `key value`. */
import { Child } from './child.js';
import type { Message } from './peer.js';

export function fixture(args: readonly string[] = []): Child {
  return new Child(process.execPath, ['test/ros/fixtures/facade.mjs', ...args]);
}

/** What the fixture says under `key` once `act` has been done. */
export async function told(
  child: Child,
  key: string,
  act: () => Promise<unknown>,
  ms = 5000,
): Promise<Message> {
  const from = child.output.length;
  await act();
  const line = new RegExp(`^${key} (.*)\\n`, 'm');
  const found = await child.waitForOutput(line, ms, from);
  return JSON.parse(found[1]!);
}

/** All that the fixture has said under `key` since `from` characters of output. */
export function allTold(child: Child, key: string, from = 0): readonly Message[] {
  const lines = child.output.slice(from).matchAll(new RegExp(`^${key} (.*)\\n`, 'gm'));
  return [...lines].map((line) => JSON.parse(line[1]!));
}
