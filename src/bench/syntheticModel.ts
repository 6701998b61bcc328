/**
 * A model folder of a public architecture at its public sizes, or with fewer layers, whose weights are random: what a
 * machine can be measured with before anything is downloaded. No checkpoint is written in between.
 */
import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { graphsFolder } from '../convert/build.js';
import type { CheckpointConfig } from '../convert/checkpointConfig.js';
import { contractFromCheckpoint } from '../convert/contractFromCheckpoint.js';
import { builderVersion, planGraphs } from '../convert/graphPlan.js';
import { everyTensor } from '../convert/keyLayout.js';
import { makeFolder } from '../convert/newFolder.js';
import {
  writeSmallFiles,
  type SyntheticName,
  type SyntheticSize,
} from '../convert/syntheticFolder.js';
import { Scratch } from '../convert/scratch.js';
import { syntheticCheckpoint } from '../convert/syntheticWeights.js';
import { runJob } from '../convert/tensorJob.js';
import type { WeightFormat } from '../convert/weightStore.js';
import { graphFiles } from '../model/graphs.js';
import { readGraphManifest } from '../model/runtime.js';

export interface SyntheticOptions extends SyntheticSize {
  readonly name: SyntheticName;
  readonly format: WeightFormat;
}

export interface SyntheticModel {
  readonly folder: string;
  readonly config: CheckpointConfig;
  /** Of all graphs and weights. */
  readonly bytes: number;
  readonly origin: 'made' | 'kept';
}

const seed = 7;

/** One folder per set of options. */
export function syntheticFolderName({ name, size, layers, format }: SyntheticOptions): string {
  const { weights, block, compute, accuracyLevel } = format;
  const blocks = weights === 'int4' || weights === 'int8' ? `-b${block}-a${accuracyLevel}` : '';
  const depth = layers === undefined ? '' : `-${layers}layers`;
  return `${name}-${size}${depth}-${weights}${blocks}-${compute}`;
}

/**
 * @param parent made if absent; a folder that this builder made there before is taken as it is.
 * @param onPlan told how many bytes the disk will hold, before any is written.
 */
export function makeSyntheticModel(
  parent: string,
  options: SyntheticOptions,
  onPlan: (bytes: number) => void,
  onProgress: (fraction: number) => void,
): SyntheticModel {
  const folder = join(parent, syntheticFolderName(options));
  if (existsSync(folder)) {
    const { builder, files } = readGraphManifest(join(folder, graphsFolder));
    if (builder === builderVersion) {
      const { config } = contractOf(join(folder, 'source'), options.name);
      return { folder, config, bytes: sumOf(files), origin: 'kept' };
    }
    rmSync(folder, { recursive: true });
  }
  const partial = `${folder}.partial`;
  rmSync(partial, { recursive: true, force: true });
  try {
    makeFolder(join(partial, graphsFolder));
    writeSmallFiles(join(partial, 'source'), options.name, options);
    const { files, config } = contractOf(join(partial, 'source'), options.name);
    for (const [name, text] of Object.entries(files)) writeFileSync(join(partial, name), text);
    const bytes = writeGraphs(join(partial, graphsFolder), config, options, onPlan, onProgress);
    renameSync(partial, folder);
    return { folder, config, bytes, origin: 'made' };
  } finally {
    // Gigabytes of a full disk are worth nothing.
    rmSync(partial, { recursive: true, force: true });
  }
}

const contractOf = (source: string, name: SyntheticName) =>
  contractFromCheckpoint(source, {
    name: `synthetic ${name}`,
    statistics: join(source, 'synthetic_statistics.json'),
    unnormKey: 'bridge_orig',
  });

function writeGraphs(
  folder: string,
  config: CheckpointConfig,
  options: SyntheticOptions,
  onPlan: (bytes: number) => void,
  onProgress: (fraction: number) => void,
): number {
  const checkpoint = syntheticCheckpoint(everyTensor(config), seed);
  const plan = planGraphs(config, checkpoint, folder, options.format);
  try {
    const manifest = plan.manifest(syntheticFolderName(options));
    const bytes = sumOf(manifest.files);
    onPlan(bytes);
    const jobs = [...plan.jobs.vision, ...plan.jobs.decoder];
    const total = jobs.reduce((sum, { sourceBytes }) => sum + sourceBytes, 0);
    const scratch = new Scratch();
    let done = 0;
    for (const job of jobs) {
      runJob(job, scratch);
      done += job.sourceBytes;
      onProgress(done / total);
    }
    for (const [name, data] of Object.entries(plan.graphs)) {
      writeFileSync(join(folder, name), data);
    }
    writeFileSync(join(folder, graphFiles.manifest), JSON.stringify(manifest));
    return bytes;
  } finally {
    plan.close();
  }
}

const sumOf = (files: Readonly<Record<string, number>>): number =>
  Object.values(files).reduce((sum, size) => sum + size, 0);
