/** What a conversion came to, as a person reads it. */
import { resolve } from 'node:path';
import type { ConversionRecord, Written } from '../convert/conversionRecord.js';
import type { Verification } from '../convert/verify.js';
import { gigabytes } from './convertProgress.js';

/** Numbers of a conversion's quantisation, over all tensors that lost something. */
export interface ErrorSummary {
  readonly tensors: number;
  /** Relative RMS error: mean over tensors, and of the worst. */
  readonly mean: number;
  readonly worst: { readonly name: string; readonly relativeRms: number } | null;
}

const worstShown = 5;

export function errorSummary({ weights }: ConversionRecord): ErrorSummary {
  const lossy = lossyOnes(weights);
  const sum = lossy.reduce((total, { relativeRms }) => total + relativeRms, 0);
  return {
    tensors: lossy.length,
    mean: lossy.length === 0 ? 0 : sum / lossy.length,
    worst: lossy[0] ?? null,
  };
}

export function conversionTable(out: string, record: ConversionRecord): string {
  const { format, files, notes } = record;
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const packed = format.weights === 'int8' || format.weights === 'int4';
  const how = packed ? `${format.weights} in blocks of ${format.block}` : format.weights;
  const { tensors, mean } = errorSummary(record);
  const lossy = lossyOnes(record.weights).slice(0, worstShown);
  return [
    ...notes.map((note) => `note: ${note}`),
    `${out}: ${gigabytes(bytes)}, weights ${how}, computing in ${format.compute}`,
    `checkpoint: ${published(record)}`,
    ...(tensors === 0 ? ['every weight is what the checkpoint has'] : []),
    ...(tensors === 0
      ? []
      : [`relative error of ${tensors} weights: ${percent(mean)} on average; the worst:`]),
    ...lossy.map(({ name, relativeRms, row }) => `  ${percent(relativeRms)}  ${name}${row}`),
  ].join('\n');
}

/** What a converted folder is for: without ROS 2, and with it, where it is found from any folder. */
export function nextSteps(out: string): string {
  return [
    `  npx magma-vla check --config <robot.yaml> --model ${out}`,
    `  ros2 launch magma_vla robot.launch.py config_file:=<robot.yaml> model:=${resolve(out)}`,
  ].join('\n');
}

export function verificationTable(folder: string, verification: Verification): string {
  const { files, bytes, sources, differences } = verification;
  const checkpoint =
    sources === 'checked' ? 'its checkpoint included' : 'its checkpoint is not there any more';
  if (differences.length === 0) {
    return `${folder}: ${files} files, ${gigabytes(bytes)}, are what they were (${checkpoint})`;
  }
  return differences
    .map(({ path, got, expected, weights }) => {
      const inside = weights.length === 0 ? '' : `; in ${weights.join(', ')}`;
      return `${path}: got ${got}, expected ${expected}${inside}`;
    })
    .join('\n');
}

/** Worst first. */
function lossyOnes(weights: readonly Written[]) {
  return weights
    .flatMap(({ tensors, error }) => {
      if (!error || error.relativeRms === 0) return [];
      const [row] = error.worstRows;
      const shown = row
        ? `, up to ${percent(row.relativeRms)} in row ${row.row} of ${row.key}`
        : '';
      return [{ name: tensors[0]!.name, relativeRms: error.relativeRms, row: shown }];
    })
    .sort((a, b) => b.relativeRms - a.relativeRms);
}

function published({ source }: ConversionRecord): string {
  const known = source.files.filter(({ publishedIn }) => publishedIn !== null).length;
  const bytes = source.files.reduce((sum, file) => sum + file.bytes, 0);
  const of = `${source.files.length} files, ${gigabytes(bytes)}`;
  return `${of}; ${known} of them have the checksum of their publisher`;
}

const percent = (ratio: number): string => `${(100 * ratio).toPrecision(3)} %`;
