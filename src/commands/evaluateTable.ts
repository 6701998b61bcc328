/** An evaluate run as text. */
import type { EvaluateResult } from './evaluate.js';
import type { Rate } from './simulateResult.js';

const percent = (share: number): string => `${(100 * share).toFixed(0)} %`.padStart(5);

export function evaluateTable(result: EvaluateResult): string {
  const { success, judged, reported, disagreements, pictureToCommandMs: ms } = result;
  const row = (name: string, { episodes, rate, low, high }: Rate): string =>
    `  ${name.padEnd(8)} ${String(episodes).padStart(5)}  ${percent(rate)}   ${percent(low)} …${percent(high)}`;
  const counts = (of: Readonly<Record<string, number>>): string =>
    Object.entries(of)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ');
  return [
    '',
    `  ${'family'.padEnd(8)} ${'n'.padStart(5)}  success  95 % interval`,
    ...Object.entries(success.byFamily).map(([name, rate]) => row(name, rate)),
    row('all', success),
    '',
    `  the simulation said: ${counts(judged)}`,
    `  the node reported:   ${counts(reported)}${disagreements > 0 ? ` (${disagreements} disagree about success)` : ''}`,
    ms
      ? `  picture to command: ${ms.p50.toFixed(0)} ms (p50), ${ms.p99.toFixed(0)} ms (p99), ${ms.max.toFixed(0)} ms (most) of ${ms.count}; by /clock, from the picture's stamp to the first trajectory received after its chunk`
      : '  no chunk was followed by a trajectory',
  ].join('\n');
}
