/** A simulate run as text. */
import type { SimulateResult } from './simulate.js';

const percent = (share: number): string => `${(100 * share).toFixed(0)} %`.padStart(5);

export function simulateTable(result: SimulateResult): string {
  const { success, traceError } = result;
  const row = (name: string, { episodes, rate, low, high }: SimulateResult['success']): string =>
    `  ${name.padEnd(8)} ${String(episodes).padStart(5)}  ${percent(rate)}   ${percent(low)} …${percent(high)}`;
  const lines = [
    '',
    `  ${'family'.padEnd(8)} ${'n'.padStart(5)}  success  95 % interval`,
    ...Object.entries(success.byFamily).map(([name, rate]) => row(name, { ...rate, byFamily: {} })),
    row('all', success),
    '',
    `  wrong object ${result.wrongObject}, out of time ${result.timeouts}, stopped by the guard ${result.stopped}`,
    `  latency ${result.latencyMs.p50.toFixed(0)} ms (p50), ${result.latencyMs.p99.toFixed(0)} ms (p99), ${result.clock === 'lockstep' ? 'as stated for lock-step' : 'measured'}`,
  ];
  if (traceError) {
    lines.push(
      `  traces: off by ${traceError.ade.toFixed(1)} of 256 on average, ${traceError.fde.toFixed(1)} at the end (standing still: ${traceError.stayStill.toFixed(1)}), ${traceError.traces} scored`,
    );
  }
  return lines.join('\n');
}
