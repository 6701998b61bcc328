/**
 * Hugging Face-style folder → ONNX graphs in a cache, built at first use: `<cache>/<sha256>/…`, keyed by
 * configuration, weights and builder version. A folder appears whole or not at all: it is written under a temporary
 * name and renamed.
 */
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { ModelError, messageOf } from '../errors.js';
import { graphFiles, graphManifestSchema } from '../model/graphs.js';
import { checkpointFiles, openCheckpoint } from './checkpoint.js';
import { readCheckpointConfig, type CheckpointLayout } from './checkpointConfig.js';
import { builderVersion, planGraphs } from './graphPlan.js';
import { makeFolder } from './newFolder.js';
import { Scratch } from './scratch.js';
import { runJob } from './tensorJob.js';
import { plainFormat } from './weightStore.js';

/** Larger checkpoints are not built unasked: as fp32 they would fill a disk, and take minutes at every first start. */
const mostBytes = 2 ** 31;

export interface BuildProgress {
  readonly stage: 'hash' | 'vision' | 'decoder';
  /** 0 … 1 within the stage. */
  readonly fraction: number;
}

export interface BuiltGraphs {
  /** Holds the files that model/graphs.ts names. */
  readonly folder: string;
  readonly origin: 'converted' | 'cache' | 'built';
}

/**
 * The graphs of a model folder: its own, where it was converted, otherwise built from its weights.
 * @param model folder with graphs/, or with config.json and the weights.
 * @param layout of the model's contract.
 * @param cache made if absent.
 * @throws ModelError when there are no graphs and nothing to build them from.
 */
export function openGraphs(
  model: string,
  layout: CheckpointLayout,
  cache: string,
  onProgress: (progress: BuildProgress) => void,
): BuiltGraphs {
  const folder = join(model, graphsFolder);
  if (!existsSync(join(folder, graphFiles.manifest))) {
    return buildGraphs(model, layout, cache, onProgress);
  }
  checkConverted(folder);
  return { folder, origin: 'converted' };
}

/** Of a converted model, inside its folder. */
export const graphsFolder = 'graphs';

/**
 * @param model folder with config.json and the weights, at most 2 GiB of them.
 * @param layout of the model's contract.
 * @param cache made if absent.
 * @throws ModelError when the folder is not a complete checkpoint of an architecture this builder knows.
 */
export function buildGraphs(
  model: string,
  layout: CheckpointLayout,
  cache: string,
  onProgress: (progress: BuildProgress) => void,
): BuiltGraphs {
  refuseLarge(model);
  const sha256 = checkpointHash(model, layout, (fraction) =>
    onProgress({ stage: 'hash', fraction }),
  );
  const folder = join(cache, sha256);
  if (isComplete(folder)) return { folder, origin: 'cache' };
  makeFolder(cache);
  const temporary = mkdtempSync(join(cache, `.${sha256.slice(0, 12)}-`));
  try {
    writeGraphs(model, layout, temporary, sha256, onProgress);
    moveIntoPlace(temporary, folder);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
  return { folder, origin: 'built' };
}

function refuseLarge(model: string): void {
  const bytes = checkpointFiles(model).reduce((sum, file) => sum + fileSize(file), 0);
  if (bytes <= mostBytes) return;
  throw new ModelError(
    model,
    `${(bytes / 1e9).toFixed(1)} GB of raw weights`,
    `a converted model: npx magma-vla convert ${model} --out models/<name> --weights int4`,
  );
}

function writeGraphs(
  model: string,
  layout: CheckpointLayout,
  folder: string,
  sha256: string,
  onProgress: (progress: BuildProgress) => void,
): void {
  const config = readCheckpointConfig(join(model, 'config.json'), layout);
  const checkpoint = openCheckpoint(model);
  try {
    const plan = planGraphs(config, checkpoint, folder, plainFormat);
    try {
      const { vision, decoder } = plan.jobs;
      const scratch = new Scratch();
      for (const job of vision) runJob(job, scratch);
      onProgress({ stage: 'vision', fraction: 1 });
      decoder.forEach((job, index) => {
        runJob(job, scratch);
        onProgress({ stage: 'decoder', fraction: (index + 1) / decoder.length });
      });
      for (const [name, bytes] of Object.entries(plan.graphs)) {
        writeFileSync(join(folder, name), bytes);
      }
      const manifest = JSON.stringify(plan.manifest(sha256), null, 2);
      writeFileSync(join(folder, graphFiles.manifest), manifest);
    } finally {
      plan.close();
    }
  } finally {
    checkpoint.close();
  }
}

/** SHA-256 over builder version, layout, config.json and the weight files, names included. */
function checkpointHash(
  model: string,
  { towers, projector, decoder, ignoredKeys }: CheckpointLayout,
  onProgress: (fraction: number) => void,
): string {
  const files = [join(model, 'config.json'), ...checkpointFiles(model)];
  const total = files.reduce((sum, file) => sum + fileSize(file), 0);
  const hash = createHash('sha256').update(`builder ${builderVersion}\n`);
  hash.update(JSON.stringify([towers, projector, decoder, ignoredKeys]));
  const chunk = new Uint8Array(1 << 22);
  let done = 0;
  for (const file of files) {
    hash.update(`${file.slice(model.length)} ${fileSize(file)}\n`);
    const descriptor = openSync(file, 'r');
    try {
      for (let count; (count = readSync(descriptor, chunk)) > 0;) {
        hash.update(chunk.subarray(0, count));
        done += count;
        onProgress(done / total);
      }
    } finally {
      closeSync(descriptor);
    }
  }
  return hash.digest('hex');
}

function fileSize(path: string): number {
  try {
    return statSync(path).size;
  } catch (error) {
    throw new ModelError(path, messageOf(error), 'a readable file');
  }
}

/** Every file the manifest lists is there with its size. */
function isComplete(folder: string): boolean {
  try {
    return differences(folder).length === 0;
  } catch {
    return false;
  }
}

/** @throws ModelError where the graphs are those of another builder, or not whole. */
function checkConverted(folder: string): void {
  const path = join(folder, graphFiles.manifest);
  let different: readonly string[];
  try {
    different = differences(folder);
  } catch (error) {
    throw new ModelError(path, messageOf(error), 'the manifest of converted graphs');
  }
  if (different.length === 0) return;
  throw new ModelError(path, different.join(', '), 'what it lists; convert the checkpoint again');
}

/** How a folder differs from its manifest, in words. Throws whatever reading and parsing throw. */
function differences(folder: string): readonly string[] {
  const text = readFileSync(join(folder, graphFiles.manifest), 'utf8');
  const { builder, files } = graphManifestSchema.parse(JSON.parse(text));
  const sizes = Object.entries(files).flatMap(([name, size]) => {
    const got = statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? null;
    if (got === size) return [];
    return [`${name} ${got === null ? 'absent' : `of ${got} bytes, not ${size}`}`];
  });
  return builder === builderVersion
    ? sizes
    : [`graphs of builder ${builder}, not ${builderVersion}`, ...sizes];
}

/** A folder cannot be renamed onto one with files in it: one that another process finished is kept as it is. */
function moveIntoPlace(from: string, to: string): void {
  if (isComplete(to)) return;
  rmSync(to, { recursive: true, force: true });
  try {
    renameSync(from, to);
  } catch (error) {
    if (!isComplete(to)) throw error;
  }
}
