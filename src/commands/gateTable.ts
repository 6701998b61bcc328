/** What `gate` found, as text. */
import type { GateEffect } from './gate.js';
import type { GateRun, GateRunResult } from './gateRun.js';

const percent = (share: number, digits = 1): string => `${(100 * share).toFixed(digits)} %`;
const run = (name: string, { path, suite, seed, episodes }: GateRun): string =>
  `  ${name.padEnd(10)} ${path}: ${String(suite)}, seed ${String(seed)}, ${episodes} episodes`;

function cells({ failing, good, earlier }: GateEffect): string {
  const time = earlier ? `${earlier.mean.toFixed(1)} s` : '–';
  return [
    `${failing.stopped} of ${failing.episodes}`.padStart(12),
    time.padStart(8),
    `${good.stopped} of ${good.episodes}`.padStart(14),
  ].join(' ');
}

export function gateTable({ most, chosenOn, judgedOn, gates, best }: GateRunResult): string {
  const head = ['failing', 'earlier', 'good, wrongly'];
  const heads = `${head[0]!.padStart(12)} ${head[1]!.padStart(8)} ${head[2]!.padStart(14)}`;
  const lines = [
    '',
    run('chosen on', chosenOn),
    run('judged on', judgedOn),
    '',
    `  ${'guard.unsure'.padEnd(22)} ${'stopped where it was chosen'.padStart(36)}   ${'stopped where it is judged'.padStart(36)}`,
    `  ${''.padEnd(22)} ${heads}   ${heads}`,
    ...gates.map(
      ({ over, below, chosenOn: chosen, judgedOn: judged }) =>
        `${best?.over === over ? '→' : ' '} ${`over ${over}, below ${below}`.padEnd(22)} ${cells(chosen)}   ${cells(judged)}`,
    ),
    '',
  ];
  if (!best)
    return [...lines, '  no window has a threshold: the episodes are too short'].join('\n');
  const { failing, good, earlier } = best.judgedOn;
  lines.push(
    `  unsure: { below: ${best.below}, over: ${best.over} } chosen for at most ${percent(most)} of good episodes; judged:`,
    `  ${failing.stopped} of ${failing.episodes} failing episodes stopped (${percent(failing.low, 0)} … ${percent(failing.high, 0)})${earlier ? `, ${earlier.mean.toFixed(1)} s before their end on average (median ${earlier.median.toFixed(1)} s)` : ''};`,
    `  ${good.stopped} of ${good.episodes} good ones stopped wrongly (${percent(good.low)} … ${percent(good.high)})`,
  );
  return lines.join('\n');
}
