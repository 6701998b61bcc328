/** A replay as text: a line per episode, and the table at its end. */
import type { Replayed, ReplayedEpisode, ReplayResult } from './replayResult.js';
import type { Counts } from './runCounts.js';

export function episodeLine(episode: ReplayedEpisode): string {
  const { index, start, instruction, predictions, requests, halts, notTakenUp } = episode;
  const halted = Object.keys(halts).length > 0 ? `, halts: ${counted(halts)}` : '';
  const arm = notTakenUp === null ? '' : `, the arm was not taken up: ${notTakenUp}`;
  return `${String(index + 1).padStart(4)}  ${start.toFixed(1).padStart(7)} s  ${`${predictions}/${requests}`.padStart(7)} predictions  ${instruction}${halted}${arm}`;
}

/** @param firstReasons what the first refusal of each kind said; a count alone helps nobody. */
export function replayTable(result: ReplayResult, firstReasons: Replayed['firstReasons']): string {
  const { actionError, notCompared, tokenRoundTrip, messages } = result;
  const lines = [
    '',
    `  ${result.predictions} predictions and ${result.traces} traces of ${result.requests} requests in ${result.episodes} episodes, ${result.durationS.toFixed(1)} s`,
    `  SHA-256 ${result.predictionsSha256}`,
  ];
  if (result.nothing !== null) lines.push(`  NOTHING PREDICTED: ${result.nothing}`);
  if (notCompared !== null) lines.push(`  not compared with the record: ${notCompared}`);
  const errors = Object.entries(actionError);
  if (errors.length > 0) {
    lines.push('', `  ${'dimension'.padEnd(10)} mean |error|       95 %  unit`);
    for (const [name, { mean, p95, unit }] of errors)
      lines.push(
        `  ${name.padEnd(10)} ${mean.toFixed(4).padStart(12)} ${p95.toFixed(4).padStart(10)}  ${unit}`,
      );
  }
  if (tokenRoundTrip) {
    const worst = Math.max(...Object.values(tokenRoundTrip.worstBins));
    const clipped = nonZero(tokenRoundTrip.clipped);
    lines.push(
      '',
      `  ${tokenRoundTrip.actions} recorded actions to tokens and back: off by at most ${worst.toFixed(3)} bins${clipped === '' ? '' : `; clipped by the statistics: ${clipped}`}`,
    );
  }
  if (result.recordedRun) {
    const { compared, identical } = result.recordedRun;
    lines.push(
      `  predictions of the recorded run: ${identical} of ${compared} are the same to the last bit`,
    );
  }
  const rows: readonly (readonly [string, Counts])[] = [
    ['refusals', result.refusals],
    ['halts', result.halts],
    ['reasons', result.reasons],
    ['stale inputs', result.staleInputs],
    [
      'messages refused',
      Object.fromEntries(
        Object.entries(messages.refused).map(([topic, { count }]) => [topic, count]),
      ),
    ],
  ];
  lines.push('', ...rows.map(([name, counts]) => `  ${name}: ${counted(counts) || 'none'}`));
  for (const kind of Object.keys(result.refusals)) {
    const first = firstReasons.get(kind);
    if (first !== undefined) lines.push(`  first ${kind}: ${first}`);
  }
  lines.push(...result.warnings.map((warning) => `  warning: ${warning}`));
  return lines.join('\n');
}

function counted(counts: Counts): string {
  return Object.entries(counts)
    .sort(([, a], [, b]) => b - a)
    .map(([code, n]) => `${code} ×${n}`)
    .join(', ');
}

function nonZero(counts: Counts): string {
  return counted(Object.fromEntries(Object.entries(counts).filter(([, n]) => n > 0)));
}
