/**
 * Hugging Face-style folder → ONNX graphs in a cache, built at first use: `<cache>/<sha256>/…`, keyed by
 * configuration, weights and builder version. A folder appears whole or not at all: it is written under a temporary
 * name and renamed.
 */
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
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
import { ModelError } from '../errors.js';
import { graphFiles, graphManifestSchema, type GraphManifest } from '../model/graphs.js';
import { checkpointFiles, openCheckpoint, type Checkpoint } from './checkpoint.js';
import {
  readCheckpointConfig,
  type CheckpointConfig,
  type CheckpointLayout,
} from './checkpointConfig.js';
import { storeDecoder } from './decoder.js';
import { decodeGraph, stepGraph } from './decoderGraphs.js';
import { ExternalData } from './external.js';
import { modelBytes } from './onnx.js';
import { visionFacts, visionGraph } from './visionGraph.js';
import { openWeightStore, plainFormat, type WeightStore } from './weightStore.js';

/** Raise it with every change of what the graphs compute or of how they are laid out. */
export const builderVersion = '2';

export interface BuildProgress {
  readonly stage: 'hash' | 'vision' | 'decoder';
  /** 0 … 1 within the stage. */
  readonly fraction: number;
}

export interface BuiltGraphs {
  /** Holds the files that model/graphs.ts names. */
  readonly folder: string;
  readonly origin: 'cache' | 'built';
}

/**
 * @param model folder with config.json and the weights.
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
  const sha256 = checkpointHash(model, layout, (fraction) =>
    onProgress({ stage: 'hash', fraction }),
  );
  const folder = join(cache, sha256);
  if (isComplete(folder)) return { folder, origin: 'cache' };
  mkdirSync(cache, { recursive: true });
  const temporary = mkdtempSync(join(cache, `.${sha256.slice(0, 12)}-`));
  try {
    writeGraphs(model, layout, temporary, sha256, onProgress);
    moveIntoPlace(temporary, folder);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
  return { folder, origin: 'built' };
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
    writeVision(config, checkpoint, folder);
    onProgress({ stage: 'vision', fraction: 1 });
    writeDecoder(config, checkpoint, folder, (fraction) =>
      onProgress({ stage: 'decoder', fraction }),
    );
    checkpoint.assertAllTaken(config.ignoredKeys);
  } finally {
    checkpoint.close();
  }
  writeManifest(config, folder, sha256);
}

function writeVision(config: CheckpointConfig, checkpoint: Checkpoint, folder: string): void {
  withStore(checkpoint, join(folder, graphFiles.visionWeights), (store) => {
    writeFileSync(join(folder, graphFiles.vision), modelBytes(visionGraph(config, store)));
  });
}

function writeDecoder(
  { decoder }: CheckpointConfig,
  checkpoint: Checkpoint,
  folder: string,
  onProgress: (fraction: number) => void,
): void {
  withStore(checkpoint, join(folder, graphFiles.decoderWeights), (store) => {
    const weights = storeDecoder(decoder, store, (done) => onProgress(done / decoder.layers));
    writeFileSync(join(folder, graphFiles.step), modelBytes(stepGraph(weights)));
    writeFileSync(join(folder, graphFiles.decode), modelBytes(decodeGraph(weights)));
  });
}

function withStore(
  checkpoint: Checkpoint,
  path: string,
  write: (store: WeightStore) => void,
): void {
  const external = new ExternalData(path);
  try {
    write(openWeightStore(checkpoint, external, plainFormat));
  } finally {
    external.close();
  }
}

function writeManifest(config: CheckpointConfig, folder: string, sha256: string): void {
  const { layers, hiddenSize, keyValueHeads, headDim, vocabulary, maxPositions } = config.decoder;
  const { manifest: name, ...others } = graphFiles;
  const manifest: GraphManifest = {
    builder: builderVersion,
    sha256,
    decoder: {
      layers,
      hiddenSize,
      keyValueHeads,
      headDim,
      vocabulary,
      maxPositions,
      keyValueType: plainFormat.compute,
      weights: plainFormat.weights,
    },
    vision: visionFacts(config.towers),
    files: Object.fromEntries(
      Object.values(others).map((file) => [file, statSync(join(folder, file)).size]),
    ),
  };
  writeFileSync(join(folder, name), JSON.stringify(manifest, null, 2));
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
    throw new ModelError(path, (error as Error).message, 'a readable file');
  }
}

/** Every file the manifest lists is there with its size. */
function isComplete(folder: string): boolean {
  const path = join(folder, graphFiles.manifest);
  if (!existsSync(path)) return false;
  try {
    const { files } = graphManifestSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
    return Object.entries(files).every(
      ([name, size]) => statSync(join(folder, name)).size === size,
    );
  } catch {
    return false;
  }
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
