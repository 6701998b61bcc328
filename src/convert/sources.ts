/** The files a checkpoint consists of, each with its checksum: what a conversion is bound to. */
import { createHash } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { z } from 'zod';
import { ModelError, messageOf } from '../errors.js';
import { checkpointFiles } from './checkpoint.js';
import type { CheckpointLayout } from './checkpointConfig.js';
import { hashInStage, publishedSha256, type HashStage } from './checksum.js';
import { sourceSchema, type SourceRecord } from './conversionRecord.js';
import type { ConversionWatch } from './conversionWatch.js';
import { builderVersion } from './graphPlan.js';
import { StorageError } from './storageError.js';
import type { WeightFormat } from './weightStore.js';

const rememberedSchema = z.array(
  z.strictObject({ path: z.string(), modified: z.string(), source: sourceSchema }),
);
type Remembered = z.infer<typeof rememberedSchema>;

/**
 * @param memory file in which checksums are kept for a conversion that goes on later: a file of the same size and time
 *   of change is not read again.
 * @throws ModelError where a file is not what its publisher says, StorageError, Interrupted
 */
export async function readSources(
  folder: string,
  memory: string,
  { onProgress, signal }: ConversionWatch,
): Promise<readonly SourceRecord[]> {
  const paths = [join(folder, 'config.json'), ...checkpointFiles(folder)];
  const before = remembered(memory);
  const facts = paths.map((path) => ({ path, ...factsOf(path) }));
  const total = facts.reduce((sum, { bytes }) => sum + bytes, 0);
  const stage: HashStage = { stage: 'sources', total, done: 0, onProgress, signal };
  const found: Remembered = [];
  for (const { path, bytes, modified } of facts) {
    const same = before.find(
      (file) =>
        file.path === resolve(path) && file.modified === modified && file.source.bytes === bytes,
    );
    if (same) stage.done += bytes;
    const sha256 = same?.source.sha256 ?? (await hashInStage(path, stage));
    const source = { name: basename(path), bytes, sha256, publishedIn: checked(path, sha256) };
    found.push({ path: resolve(path), modified, source });
    writeFileSync(memory, JSON.stringify(found));
  }
  return found.map(({ source }) => source);
}

/** The same sources, layout, format and builder make the same files, to the last bit. */
export function conversionIdentity(
  sources: readonly SourceRecord[],
  { towers, projector, decoder, ignoredKeys }: CheckpointLayout,
  format: WeightFormat,
): string {
  const files = sources.map(({ name, bytes, sha256 }) => [name, bytes, sha256]);
  const all = [builderVersion, format, towers, projector, decoder, ignoredKeys, files];
  return createHash('sha256').update(JSON.stringify(all)).digest('hex');
}

function remembered(path: string): Remembered {
  try {
    return rememberedSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    return [];
  }
}

function factsOf(path: string): { readonly bytes: number; readonly modified: string } {
  try {
    const { size, mtimeNs } = statSync(path, { bigint: true });
    return { bytes: Number(size), modified: String(mtimeNs) };
  } catch (error) {
    throw new StorageError(path, messageOf(error), 'a readable file');
  }
}

/** @returns where the publisher's checksum stands; null: there is none. */
function checked(path: string, sha256: string): string | null {
  const published = publishedSha256(path);
  if (!published || published.sha256 === sha256) return published?.publishedIn ?? null;
  const asPublished = `${published.sha256}, as published (${published.publishedIn})`;
  const expected = `${asPublished}: download it again, or, where it was changed on purpose, convert it without that record of its download`;
  throw new ModelError(path, `SHA-256 ${sha256}`, expected);
}
