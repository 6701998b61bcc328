/** What the tiny Magma is asked: the golden cases of test/oracle/tiny_magma.py as requests. */
import type { Tokens } from '../../src/model/decoding.js';
import type { GenerationRequest } from '../../src/model/generation.js';
import type { Runtime } from '../../src/model/runtime.js';
import { expectedCases, expectedCrops, imageId } from './tinyMagma.js';

export const actionIds = { first: 100, end: 140 };

/** Of a golden case, its picture encoded by the runtime's own graph. */
export async function tinyRequest(
  { vision }: Pick<Runtime, 'vision'>,
  name: string,
): Promise<GenerationRequest> {
  const visual = await vision.encode(expectedCrops(name));
  const { ids } = expectedCases[name]!;
  const pictures = ids.flatMap((id, position) => (id === imageId ? [{ position, visual }] : []));
  return { ids, pictures, maxTokens: 24, eosIds: [], actionIds };
}

export async function collect(stream: AsyncGenerator<Tokens, void, undefined>): Promise<Tokens[]> {
  const parts: Tokens[] = [];
  for await (const part of stream) parts.push(part);
  return parts;
}
