/**
 * All graphs of a model at once: what they are, where every weight will lie, and the jobs that write the weights.
 * Planning reads only small tensors and finds every missing, misshapen and unknown key: nothing large is written for
 * a checkpoint that does not fit.
 */
import { join } from 'node:path';
import { graphFiles, type GraphManifest } from '../model/graphs.js';
import type { Checkpoint } from './checkpoint.js';
import type { CheckpointConfig } from './checkpointConfig.js';
import { storeDecoder } from './decoder.js';
import { decodeGraph, stepGraph } from './decoderGraphs.js';
import { ExternalData } from './external.js';
import { modelBytes } from './onnx.js';
import type { TensorJob } from './tensorJob.js';
import { visionFacts, visionGraph } from './visionGraph.js';
import { planWeights, type WeightFormat } from './weightStore.js';

/** Raise it with every change of what the graphs compute or of how they are laid out. */
export const builderVersion = '2';

export interface GraphPlan {
  /** In the order of their places. */
  readonly jobs: { readonly vision: readonly TensorJob[]; readonly decoder: readonly TensorJob[] };
  /** ONNX files by name. */
  readonly graphs: Readonly<Record<string, Uint8Array>>;
  /** Data files, full size reserved. */
  readonly externals: readonly ExternalData[];
  /** @param sha256 of everything the graphs are made of. */
  manifest(sha256: string): GraphManifest;
  close(): void;
}

/**
 * @param folder where the data files are made; the graphs name them without a path.
 * @param mode 'resume': data files that are there are kept as they are.
 * @throws ModelError when the checkpoint is not what the configuration says.
 */
export function planGraphs(
  config: CheckpointConfig,
  checkpoint: Checkpoint,
  folder: string,
  format: WeightFormat,
  mode: 'new' | 'resume' = 'new',
): GraphPlan {
  const externals: ExternalData[] = [];
  const close = (): void => externals.forEach((external) => external.close());
  const store = (file: string, jobs: TensorJob[]) => {
    const external = new ExternalData(join(folder, file), mode);
    externals.push(external);
    return planWeights(checkpoint, external, format, (job) => jobs.push(job));
  };
  const vision: TensorJob[] = [];
  const decoder: TensorJob[] = [];
  try {
    const visionBytes = modelBytes(visionGraph(config, store(graphFiles.visionWeights, vision)));
    const weights = storeDecoder(config.decoder, store(graphFiles.decoderWeights, decoder));
    checkpoint.assertAllTaken(config.ignoredKeys);
    const graphs = {
      [graphFiles.vision]: visionBytes,
      [graphFiles.step]: modelBytes(stepGraph(weights)),
      [graphFiles.decode]: modelBytes(decodeGraph(weights)),
    };
    const sizes = (): Record<string, number> => ({
      ...Object.fromEntries(Object.entries(graphs).map(([name, { length }]) => [name, length])),
      [graphFiles.visionWeights]: externals[0]!.size,
      [graphFiles.decoderWeights]: externals[1]!.size,
    });
    const manifest = (sha256: string) => manifestOf(config, format, sha256, sizes());
    externals.forEach((external) => external.reserve());
    return { jobs: { vision, decoder }, graphs, externals, manifest, close };
  } catch (error) {
    close();
    throw error;
  }
}

function manifestOf(
  { decoder, towers }: CheckpointConfig,
  { compute, weights }: WeightFormat,
  sha256: string,
  files: Readonly<Record<string, number>>,
): GraphManifest {
  const { layers, hiddenSize, keyValueHeads, headDim, vocabulary, maxPositions } = decoder;
  const sizes = { layers, hiddenSize, keyValueHeads, headDim, vocabulary, maxPositions };
  return {
    builder: builderVersion,
    sha256,
    decoder: { ...sizes, keyValueType: compute, weights },
    vision: visionFacts(towers),
    files,
  };
}
