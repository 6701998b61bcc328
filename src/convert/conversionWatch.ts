/** How a conversion tells how far it is, and is told to stop. */
import { setImmediate } from 'node:timers/promises';

export interface ConversionProgress {
  /** Checksums of the checkpoint; its weights; what was written, read back. */
  readonly stage: 'sources' | 'weights' | 'check';
  /** Bytes of this stage that were read. */
  readonly done: number;
  readonly total: number;
  /** File or weight at hand. */
  readonly what: string;
}

export interface ConversionWatch {
  readonly onProgress: (progress: ConversionProgress) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Asked to stop; the same conversion goes on where this one stopped. */
export class Interrupted extends Error {
  override name = 'Interrupted';
}

/** Lets timers and signals have their turn between two pieces of work. @throws Interrupted */
export async function turn(signal: AbortSignal | undefined): Promise<void> {
  await setImmediate();
  if (signal?.aborted) throw new Interrupted('interrupted');
}
