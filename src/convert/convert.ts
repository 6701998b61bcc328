/**
 * A Hugging Face-style folder → a model folder that runs: streamed, so that memory stays small however large the model
 * is; resumable, tensor by tensor; whole or not at all.
 */
import { statSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { InputError, messageOf } from '../errors.js';
import { graphFiles, type GraphManifest } from '../model/graphs.js';
import { graphsFolder } from './build.js';
import { openCheckpoint } from './checkpoint.js';
import { readCheckpointConfig, type CheckpointLayout } from './checkpointConfig.js';
import { hashInStage, type HashStage } from './checksum.js';
import {
  recordName,
  type ConversionRecord,
  type FileRecord,
  type Written,
} from './conversionRecord.js';
import type { ConversionWatch } from './conversionWatch.js';
import { builderVersion, planGraphs } from './graphPlan.js';
import { Journal } from './journal.js';
import { checkTensors } from './keyLayout.js';
import { PartialModel } from './partialModel.js';
import { RangeHashes } from './rangeHashes.js';
import { conversionIdentity, readSources } from './sources.js';
import { StorageError } from './storageError.js';
import type { WeightFormat } from './weightStore.js';
import { writeWeights } from './writeWeights.js';

export interface Conversion {
  /** Folder with config.json and the weights. */
  readonly source: string;
  /** Model folder to be made. */
  readonly out: string;
  readonly format: WeightFormat;
  readonly layout: CheckpointLayout;
  /** Texts of the model folder's small files by name: model.json and what it needs. */
  readonly files: Readonly<Record<string, string>>;
  readonly notes: readonly string[];
}

export interface Converted {
  readonly record: ConversionRecord;
  readonly manifest: GraphManifest;
  /** Jobs that an interrupted conversion had finished. */
  readonly kept: number;
}

/**
 * @throws ModelError on a checkpoint that does not fit: nothing is left behind but what an interrupted call had left.
 * StorageError on a disk that fails or is full, Interrupted when asked to stop: `<out>.partial` is left, and the same
 * call goes on from it.
 */
export async function convertModel(
  conversion: Conversion,
  watch: ConversionWatch,
): Promise<Converted> {
  const partial = new PartialModel(conversion.out);
  try {
    const converted = await convertInto(partial, conversion, watch);
    partial.finish();
    return converted;
  } catch (error) {
    // What is wrong with the checkpoint stays wrong: going on would find it again.
    const isFinal = error instanceof InputError && !(error instanceof StorageError);
    if (isFinal && partial.isNew) partial.discard();
    else partial.release();
    throw error;
  }
}

async function convertInto(
  partial: PartialModel,
  { source, format, layout, files, notes }: Conversion,
  watch: ConversionWatch,
): Promise<Converted> {
  const config = readCheckpointConfig(join(source, 'config.json'), layout);
  const checkpoint = openCheckpoint(source);
  const open: { close(): void }[] = [checkpoint];
  try {
    // 1. That it is all there; then what it is, to the last bit.
    checkTensors(checkpoint.shapes, config, source);
    const sources = await readSources(source, partial.sources, watch);
    const identity = conversionIdentity(sources, layout, format);
    const journal = new Journal(partial.journal, identity);
    open.push(journal);
    if (journal.length === 0) partial.clear();

    // 2. Where everything will lie.
    const graphs = join(partial.model, graphsFolder);
    const plan = planGraphs(config, checkpoint, graphs, format, 'resume');
    open.push(plan);

    // 3. The weights, then the small files; the manifest makes graphs of them, and comes last.
    const { weights, kept } = await writeWeights(plan, journal, watch);
    for (const [name, text] of Object.entries(files)) write(join(partial.model, name), text);
    for (const [name, bytes] of Object.entries(plan.graphs)) write(join(graphs, name), bytes);
    const manifest = plan.manifest(identity);
    write(join(graphs, graphFiles.manifest), JSON.stringify(manifest, null, 2));

    // 4. The checkpoint is still the one whose checksums were taken.
    const after = conversionIdentity(
      await readSources(source, partial.sources, watch),
      layout,
      format,
    );
    if (after !== identity) {
      const got = 'files that changed while they were converted';
      throw new StorageError(source, got, 'a checkpoint that nobody writes to');
    }

    // 5. What lies on the disk now, read back: it must still be what was written.
    plan.externals.forEach((external) => external.sync());
    const inGraphs = [graphFiles.manifest, ...Object.keys(manifest.files)];
    const names = [...Object.keys(files), ...inGraphs.map((name) => `${graphsFolder}/${name}`)];
    const record: ConversionRecord = {
      ...{ version: 1, builder: builderVersion, identity, format },
      source: { folder: resolve(source), files: sources },
      notes,
      files: await hashFiles(partial.model, names, weights, watch),
      weights,
    };
    write(join(partial.model, recordName), `${JSON.stringify(record, null, 1)}\n`);
    return { record, manifest, kept };
  } finally {
    open.reverse().forEach((it) => it.close());
  }
}

/**
 * @param names paths from the folder.
 * @param weights with the checksums they had when they were written.
 * @throws StorageError where one of them has changed since: the same conversion writes that one again.
 */
async function hashFiles(
  folder: string,
  names: readonly string[],
  weights: readonly Written[],
  { onProgress, signal }: ConversionWatch,
): Promise<readonly FileRecord[]> {
  const sizes = names.map((name) => statSync(join(folder, name)).size);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const stage: HashStage = { stage: 'check', total, done: 0, onProgress, signal };
  const records: FileRecord[] = [];
  for (const [i, name] of names.entries()) {
    const tensors = weights.flatMap((written) => written.tensors);
    const ranges = new RangeHashes(tensors.filter(({ file }) => file === basename(name)));
    const sha256 = await hashInStage(join(folder, name), stage, ranges);
    const changed = ranges.changed();
    if (changed.length > 0) {
      const got = `${changed.join(', ')} with other bytes than were written`;
      throw new StorageError(join(folder, name), got, 'a disk that keeps what it is given');
    }
    records.push({ name, bytes: sizes[i]!, sha256 });
  }
  return records;
}

function write(path: string, content: string | Uint8Array): void {
  try {
    writeFileSync(path, content);
  } catch (error) {
    throw new StorageError(path, messageOf(error), 'room for it on the disk');
  }
}
