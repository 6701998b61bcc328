/** Fields that several of our own messages share. */
import { DataError } from '../../errors.js';
import type { Timing } from '../../types.js';

/** float64[5] timing_ms */
export function messageFromTiming(t: Timing): readonly number[] {
  return [t.decodeMs, t.preprocessMs, t.visionMs, t.generateMs, t.totalMs];
}

export function timingFromMessage(value: unknown, where: string): Timing {
  const [decodeMs, preprocessMs, visionMs, generateMs, totalMs] = numbers(value);
  if (totalMs === undefined) throw new DataError(`${where}: timing_ms`, 'too few', '5 values');
  return {
    decodeMs: decodeMs!,
    preprocessMs: preprocessMs!,
    visionMs: visionMs!,
    generateMs: generateMs!,
    totalMs,
  };
}

/** An array of numbers, copied: typed arrays may be views. */
export function numbers(value: unknown): readonly number[] {
  return Array.from(value as ArrayLike<number>);
}
