/** The jobs of a plan, one after another; those that an interrupted conversion finished are verified and kept. */
import { statSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Written } from './conversionRecord.js';
import { turn, type ConversionWatch } from './conversionWatch.js';
import type { GraphPlan } from './graphPlan.js';
import type { Journal } from './journal.js';
import { Scratch } from './scratch.js';
import { StorageError } from './storageError.js';
import type { TensorJob } from './tensorJob.js';

export interface WrittenWeights {
  readonly weights: readonly Written[];
  /** How many of them were there. */
  readonly kept: number;
}

/** @throws ModelError on weights that cannot be converted; StorageError; Interrupted */
export async function writeWeights(
  plan: GraphPlan,
  journal: Journal,
  { onProgress, signal }: ConversionWatch,
): Promise<WrittenWeights> {
  checkRoom(plan);
  const jobs = [...plan.jobs.vision, ...plan.jobs.decoder];
  const total = jobs.reduce((sum, { sourceBytes }) => sum + sourceBytes, 0);
  const weights: Written[] = [];
  const scratch = new Scratch();
  let kept = 0;
  let done = 0;
  const advance = async (job: TensorJob, bytes: number): Promise<void> => {
    done += bytes;
    onProgress({ stage: 'weights', done, total, what: job.tensors[0]!.name });
    await turn(signal);
  };
  for (const job of jobs) {
    const before = journal.find(job);
    if (before && isIntact(job, before)) {
      weights.push(before);
      kept += 1;
      await advance(job, job.sourceBytes);
      continue;
    }
    const pieces = job.write(scratch);
    let piece = pieces.next();
    for (; !piece.done; piece = pieces.next()) await advance(job, piece.value);
    const written: Written = { tensors: hashes(job), error: piece.value };
    journal.add(written);
    weights.push(written);
  }
  return { weights, kept };
}

function isIntact({ external, tensors }: TensorJob, written: Written): boolean {
  return tensors.every((tensor, i) => external.sha256(tensor) === written.tensors[i]!.sha256);
}

/** Of what lies in the file now, not of what was meant to be written. */
function hashes({ external, tensors }: TensorJob): Written['tensors'] {
  return tensors.map((tensor) => ({ ...tensor, sha256: external.sha256(tensor)! }));
}

/** Said before hours of work, not after. @throws StorageError */
function checkRoom({ externals }: GraphPlan): void {
  const { path } = externals[0]!;
  const { bavail, bsize } = statfsSync(dirname(path));
  const occupied = externals.reduce((sum, file) => sum + 512 * statSync(file.path).blocks, 0);
  const needed = externals.reduce((sum, { size }) => sum + size, 0) - occupied;
  if (needed <= bavail * bsize) return;
  const free = `${gigabytes(bavail * bsize)} free on the disk of ${dirname(path)}`;
  throw new StorageError(path, free, `${gigabytes(needed)} for the weights`);
}

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;
