/**
 * One simulated episode as data: what a run's result is made of, whichever process ran it. Stamps and episode numbers are
 * relative to the episode, and put in their place when a run is summed up, so that a result does not depend on who ran what.
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { z } from 'zod';
import { causes } from './cause.js';
import { parseJsonLine } from './jsonLine.js';
import { answerLine } from './runCounts.js';

const counts = z.record(z.string(), z.number());

const schema = z.strictObject({
  index: z.int().nonnegative(),
  seed: z.int().nonnegative(),
  family: z.string(),
  scenery: z.string(),
  instruction: z.string(),
  outcome: z.enum(['success', 'wrongObject', 'running']),
  /** Why it was no success; null where it was. */
  cause: z.enum(causes).nullable(),
  /** s of simulated time. */
  duration: z.number(),
  /** ns of simulated time until the arm had come to rest. */
  spanNs: z.string().regex(/^\d{1,19}$/),
  /** Reason code of the guard's stop; null: it did not stop the arm for good. */
  latched: z.string().nullable(),
  gaveUp: z.string().nullable(),
  /** What was made to go wrong, and when (s); null: nothing. */
  disturbed: z.strictObject({ kind: z.string(), at: z.number() }).nullable(),
  reasons: counts,
  halts: counts,
  refusals: counts,
  recoveries: counts,
  /** Of the actions that were played, 0 … 1, four digits. */
  confidences: z.array(z.number()),
  /** The same before the model's calibration; absent where it has none. */
  uncalibrated: z.array(z.number()).optional(),
  /** From picture to played action, simulated (lock-step) or real (wall), ms. */
  playedMs: z.array(z.number()),
  traces: z.strictObject({
    ...{ ade: z.number(), fde: z.number(), still: z.number() },
    ...{ straight: z.number(), moved: z.number() },
    ...{ missed: z.number(), adeOfAll: z.number(), marks: z.number() },
    ...{ answers: z.number(), refusals: z.number() },
  }),
  /** AnswerLines, packed. */
  answers: z.string(),
});

export type EpisodeRecord = Readonly<z.infer<typeof schema>>;

/** @throws DataError for a line that is none */
export function parseRecord(text: string, where: string): EpisodeRecord {
  return parseJsonLine(schema, text, where, 'an episode, as simulate writes them');
}

/** Every answer of an episode in order, as it is hashed, but for when and which episode that was. */
export class AnswerLines {
  readonly #lines: string[] = [];
  readonly #startNs: bigint;
  readonly #episode: number;

  constructor(startNs: bigint, episode: number) {
    this.#startNs = startNs;
    this.#episode = episode;
  }

  /** `fields`: of runCounts.ts; stamp and episode first where it is a prediction. */
  add(fields: readonly unknown[]): void {
    const [stampNs, episode, ...rest] = fields;
    const placed =
      typeof stampNs === 'bigint'
        ? [stampNs - this.#startNs, Number(episode) - this.#episode, ...rest]
        : fields;
    this.#lines.push(answerLine(placed));
  }

  packed(): string {
    return deflateRawSync(this.#lines.join('')).toString('base64');
  }
}

/** Inverse of AnswerLines, for an episode that began at a stamp under a number. */
export function placedLines(packed: string, startNs: bigint, episode: number): string {
  const text = inflateRawSync(Buffer.from(packed, 'base64')).toString('utf8');
  return text.replace(
    /^\["(-?\d+)",(-?\d+),/gm,
    (_, stamp: string, n: string) => `["${startNs + BigInt(stamp)}",${episode + Number(n)},`,
  );
}
