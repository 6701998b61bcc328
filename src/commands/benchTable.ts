/** A benchmark as text. */
import type { BenchResult } from '../bench/bench.js';
import { slowest } from '../bench/spread.js';

export function benchTable(result: BenchResult): string {
  const ms = (value: number): string => `${value.toFixed(1)} ms`;
  const { alone, withTraces, decoding, actionP99Ratio: ratio } = result;
  const phase = (name: string, p: BenchResult['alone']): string =>
    `  ${name.padEnd(14)} ${p.actionsPerSecond.toFixed(1).padStart(5)} actions/s (p50 ${ms(p.actionLatencyMs.p50)}, ${slowest(p.actionLatencyMs)})  ${p.tracesPerSecond.toFixed(2)} traces/s  jitter ${slowest(p.controlJitterMs)}, ${p.missedTicks} ticks missed`;
  return [
    '',
    phase('actions alone', alone),
    phase('with traces', withTraces),
    `  action p99 with traces / without: ${ratio?.toFixed(2) ?? 'not known of fewer than 100 actions'}`,
    `  decoding: ${decoding.loop.tokensPerSecond.toFixed(0)} tokens/s in one run, ${decoding.step.tokensPerSecond.toFixed(0)} step by step (×${decoding.speedUp.toFixed(2)})`,
    `  memory: ${result.rssMb.toFixed(0)} MB`,
  ].join('\n');
}
