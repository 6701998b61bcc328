/** Why nothing came of a replay: a run that predicted nothing has shown nothing, and says what was missing. */
import type { Replayed, ReplayResult } from './replayResult.js';
import type { Counts } from './runCounts.js';

/**
 * Null where there is a prediction, of an action or a trace.
 * @param firstReasons what the first of each kind said; a code alone helps nobody.
 */
export function whyNothing(
  { predictions, traces, requests, staleInputs, refusals, messages }: Omit<ReplayResult, 'nothing'>,
  { episodes, firstReasons }: Pick<Replayed, 'episodes' | 'firstReasons'>,
): string | null {
  if (predictions + traces > 0) return null;
  const said = (counts: Counts): string[] =>
    Object.entries(counts)
      .sort(([, a], [, b]) => b - a)
      .map(
        ([code, n]) =>
          `${code} ×${n}${firstReasons.has(code) ? ` (${firstReasons.get(code)})` : ''}`,
      );
  if (requests > 0) {
    return `${requests} requests and no answer that can be used: ${said(refusals).join('; ')}`;
  }
  const absent = messages.absentTopics.join(', ');
  const because = episodes.find(({ notTakenUp }) => notTakenUp !== null)?.notTakenUp ?? null;
  const missing = [
    ...(absent === '' ? [] : [`the bag has no messages on ${absent}`]),
    ...said(staleInputs),
    ...(because === null ? [] : [`the arm was not taken up (${because})`]),
  ];
  return `nobody was asked: ${missing.join('; ') || 'no observation was whole'}`;
}
