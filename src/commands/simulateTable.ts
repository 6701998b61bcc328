/** A simulate run as text. */
import type { SimulateResult } from './simulate.js';

const percent = (share: number): string => `${(100 * share).toFixed(0)} %`.padStart(5);

export function simulateTable(result: SimulateResult): string {
  const { success, traceError, latencyMs } = result;
  const row = (name: string, { episodes, rate, low, high }: SimulateResult['success']): string =>
    `  ${name.padEnd(8)} ${String(episodes).padStart(5)}  ${percent(rate)}   ${percent(low)} …${percent(high)}`;
  const lines = [
    '',
    `  ${'family'.padEnd(8)} ${'n'.padStart(5)}  success  95 % interval`,
    ...Object.entries(success.byFamily).map(([name, rate]) => row(name, { ...rate, byFamily: {} })),
    row('all', success),
    '',
    `  wrong object ${result.wrongObject}, out of time ${result.timeouts}, stopped by the guard ${result.stopped}`,
    latencyMs
      ? `  latency ${latencyMs.p50.toFixed(0)} ms (p50), ${latencyMs.p99.toFixed(0)} ms (p99) from picture to played action, ${result.clock === 'lockstep' ? 'simulated' : 'real'} time`
      : '  no action was played',
  ];
  if (traceError) {
    const { ade, fde, stayStill, constantVelocity, traces, missed, refusedShare } = traceError;
    const units = (value: number | null): string => value?.toFixed(1) ?? '–';
    lines.push(
      `  traces: off by ${units(ade)} of 256 on average, ${units(fde)} at the end (standing still: ${units(stayStill)}, constant velocity: ${units(constantVelocity)}), ${traces} marks that moved, ${missed} of them said to rest; refused ${percent(refusedShare).trim()}`,
    );
  }
  return lines.join('\n');
}
