/** How far a run is, for people. */
import { endOf } from './album.js';
import { realClock } from './clock.js';
import type { EpisodeRecord } from './episodeRecord.js';
import type { SimulateFlags } from './simulateFlags.js';

/** How fast a run goes, by the real clock. */
export class Pace {
  readonly #startedNs = realClock.now().nowNs;
  readonly #before: number;

  constructor(before: number) {
    this.#before = before;
  }

  perMinute(done: number): string {
    const minutes = Number(realClock.now().nowNs - this.#startedNs) / 60e9;
    return ((done - this.#before) / minutes).toFixed(done - this.#before < 10 * minutes ? 1 : 0);
  }
}

/** A line per episode, and how fast it goes. */
export class Progress {
  readonly #flags: SimulateFlags;
  readonly #say: (line: string) => void;
  readonly #pace: Pace;
  #ended: number;

  constructor(flags: SimulateFlags, finished: number, say: (line: string) => void) {
    this.#flags = flags;
    this.#say = say;
    this.#ended = finished;
    this.#pace = new Pace(finished);
    if (finished > 0) say(`${finished} of ${flags.episodes} episodes were finished before`);
  }

  tell(record: EpisodeRecord): void {
    const { episodes, quiet } = this.#flags;
    this.#ended++;
    if (this.#ended % 50 === 0)
      this.#say(
        `${this.#ended}/${episodes} episodes, ${this.#pace.perMinute(this.#ended)} a minute`,
      );
    if (quiet) return;
    const n = String(record.index + 1).padStart(String(episodes).length);
    const halts = record.latched === null ? '' : `, stopped: ${record.latched}`;
    const upset = record.disturbed ? ` (${record.disturbed.kind})` : '';
    this.#say(
      `${n}/${episodes}  ${endOf(record).padEnd(12)} ${record.duration.toFixed(1).padStart(5)} s  ${record.instruction}${upset}${halts}`,
    );
  }
}
