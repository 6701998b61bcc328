/** A simulate run as text. */
import { causes, causeWords } from './cause.js';
import type { Rate, SimulateResult } from './simulateResult.js';

const percent = (share: number): string => `${(100 * share).toFixed(0)} %`.padStart(5);
const row = (name: string, { episodes, rate, low, high }: Rate): string =>
  `  ${name.padEnd(14)} ${String(episodes).padStart(5)}  ${percent(rate)}   ${percent(low)} …${percent(high)}`;
const rows = (rates: Readonly<Record<string, Rate>>): string[] =>
  Object.entries(rates).map(([name, rate]) => row(name, rate));
const block = (lines: readonly string[]): readonly string[] =>
  lines.length > 0 ? ['', ...lines] : [];

export function simulateTable(result: SimulateResult): string {
  const { suite, success, byScenery, byDisturbance, traceError, latencyMs } = result;
  const lines = [
    '',
    `  ${`${suite.name} v${suite.version}`.padEnd(14)} ${'n'.padStart(5)}  success  95 % interval`,
    ...rows(success.byFamily),
    row('all', success),
    ...block(rows(byScenery)),
    ...block(rows(byDisturbance)),
    ...block(causeLines(result)),
    '',
    `  wrong object ${result.wrongObject}, out of time ${result.timeouts}, stopped by the guard ${result.stopped}, given up ${result.gaveUp}`,
    ...recoveryLines(result),
    latencyMs
      ? `  latency ${latencyMs.p50.toFixed(0)} ms (p50), ${latencyMs.p99.toFixed(0)} ms (p99) from picture to played action, ${result.clock === 'lockstep' ? 'simulated' : 'real'} time`
      : '  no action was played',
  ];
  if (traceError) {
    const { ade, fde, stayStill, traces, missed, refusedShare } = traceError;
    const units = (value: number | null): string => value?.toFixed(1) ?? '–';
    lines.push(
      `  traces: off by ${units(ade)} of 256 on average, ${units(fde)} at the end (standing still: ${units(stayStill)}), ${traces} marks that moved, ${missed} of them said to rest; refused ${percent(refusedShare).trim()}`,
    );
  }
  return lines.join('\n');
}

/** What control did of its own accord, and what the confidence was worth. */
function recoveryLines({ recoveries, confidence }: SimulateResult): string[] {
  const begun = Object.entries(recoveries).map(([fault, n]) => `${fault} ${n}`);
  return [
    ...(begun.length > 0 ? [`  recoveries: ${begun.join(', ')}`] : []),
    ...(confidence
      ? [
          `  confidence is off by ${percent(confidence.error).trim()} from how often things end well`,
        ]
      : []),
  ];
}

function causeLines({ causes: counts, guardStops }: SimulateResult): string[] {
  return causes.flatMap((cause) => {
    const n = counts[cause];
    if (n === undefined) return [];
    const codes = Object.entries(guardStops).map(([code, times]) => `${code} ${times}`);
    const which = cause === 'guardStop' ? ` (${codes.join(', ')})` : '';
    return [`  ${String(n).padStart(5)}  ${causeWords[cause]}${which}`];
  });
}
