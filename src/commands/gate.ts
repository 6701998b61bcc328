/**
 * What `guard.unsure` of robot.yaml would have done to finished episodes, by their confidences: how many failing ones it would
 * have stopped, how much earlier, and how many good ones wrongly. A gate is chosen on one run and judged on another.
 */
import { InputError } from '../errors.js';
import { mean, percentile, wilsonInterval } from '../math/statistics.js';
import { ConfidenceWindow } from '../safety/confidenceWindow.js';
import type { EpisodeRecord } from './episodeRecord.js';

/** As in robot.yaml: the mean confidence of the last `over` actions must not be less than `below`. */
export interface Gate {
  readonly over: number;
  readonly below: number;
}

type Episode = Pick<EpisodeRecord, 'confidences' | 'outcome' | 'duration'>;

/** Of so many episodes. */
export interface Stopped {
  readonly episodes: number;
  readonly stopped: number;
  /** 95 % Wilson interval of the share. */
  readonly low: number;
  readonly high: number;
}

export interface GateEffect {
  /** Episodes that failed without the gate: stopped early. */
  readonly failing: Stopped;
  /** Episodes that succeeded without it: stopped wrongly. */
  readonly good: Stopped;
  /** s before their end at which failing episodes were stopped; null where none was. */
  readonly earlier: { readonly mean: number; readonly median: number } | null;
}

/** Index of the action at which the gate stops an episode, told by the guard's own window; null: it does not. */
export function stopOf({ confidences }: Pick<Episode, 'confidences'>, gate: Gate): number | null {
  const index = meansOver(confidences, gate.over).findIndex(
    (value) => value !== null && value < gate.below,
  );
  return index === -1 ? null : index;
}

export function effectOf(episodes: readonly Episode[], gate: Gate): GateEffect {
  const good = episodes.filter(isGood);
  const failing = episodes.filter((episode) => !isGood(episode));
  const isStopped = (episode: Episode): boolean => stopOf(episode, gate) !== null;
  const earlier = failing.flatMap((episode) => {
    const at = stopOf(episode, gate);
    // Actions are asked for at a steady pace: the last one ends with the episode.
    return at === null ? [] : [episode.duration * (1 - (at + 1) / episode.confidences.length)];
  });
  return {
    failing: rateOf(failing.filter(isStopped).length, failing.length),
    good: rateOf(good.filter(isStopped).length, good.length),
    earlier:
      earlier.length === 0 ? null : { mean: mean(earlier), median: percentile(earlier, 0.5) },
  };
}

/**
 * For each window the highest threshold that is expected to stop no more than a share `most` of new good episodes: with
 * n good ones here, at their k-th lowest minimum, k = most · (n + 1) (Vovk et al. 2005, "Algorithmic Learning in a Random
 * World": a new one is lower with probability k / (n + 1) at most, whatever the distribution).
 * @param most 0 … 1 @throws InputError where there are too few good episodes to say
 */
export function chooseGates(
  episodes: readonly Episode[],
  windows: readonly number[],
  most: number,
): readonly Gate[] {
  const good = episodes.filter(isGood);
  const k = Math.floor(most * (good.length + 1) + 1e-9);
  if (k < 1)
    throw new InputError(
      'gate',
      `${good.length} episodes that succeeded`,
      `at least ${Math.ceil(1 / most) - 1} to choose by, or a larger --most`,
    );
  return windows.flatMap((over) => {
    const lowest = good.map(({ confidences }) => lowestOver(confidences, over));
    const limit = lowest.sort((a, b) => a - b)[k - 1]!;
    // Cut, not rounded: rounded up it would stop one more.
    return Number.isFinite(limit) ? [{ over, below: Math.floor(limit * 1e4) / 1e4 }] : [];
  });
}

/** That which stops most failing episodes; of equals the one that saves most time. */
export function bestOf(gates: readonly Gate[], episodes: readonly Episode[]): Gate | null {
  const saved = ({ earlier, failing }: GateEffect): number =>
    failing.stopped * (earlier?.mean ?? 0);
  return (
    gates
      .map((gate) => ({ gate, effect: effectOf(episodes, gate) }))
      .sort(
        (a, b) =>
          b.effect.failing.stopped - a.effect.failing.stopped || saved(b.effect) - saved(a.effect),
      )[0]?.gate ?? null
  );
}

function isGood({ outcome }: Episode): boolean {
  return outcome === 'success';
}

/** After each action, by the guard's own window; null until there are enough. */
function meansOver(confidences: readonly number[], over: number): readonly (number | null)[] {
  const window = new ConfidenceWindow(over);
  return confidences.map((confidence, i) =>
    window.mean({ observationStampNs: BigInt(i), confidence, episode: 0, tokens: [] }),
  );
}

function lowestOver(confidences: readonly number[], over: number): number {
  return meansOver(confidences, over).reduce<number>(
    (lowest, value) => Math.min(lowest, value ?? Infinity),
    Infinity,
  );
}

function rateOf(stopped: number, episodes: number): Stopped {
  return { episodes, stopped, ...wilsonInterval(stopped, episodes) };
}
