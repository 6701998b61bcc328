/** What a person reads while gigabytes are converted: how far, how fast, how long still. */
import type { Clock } from '../control/clock.js';
import type { ConversionProgress } from '../convert/conversionWatch.js';

const stageNames: Readonly<Record<ConversionProgress['stage'], string>> = {
  sources: 'checking the checkpoint',
  weights: 'converting weights',
  check: 'reading back',
};

/** Between two lines. */
const periodMs = 2000;
/** The speed shown is that of the last while: what a resumed conversion keeps is passed faster than what it writes. */
const windowMs = 20_000;

/** At most one line per period, and one at the end of each stage. */
export function conversionProgress(
  say: (line: string) => void,
  clock: Clock,
): (progress: ConversionProgress) => void {
  let stage: ConversionProgress['stage'] | null = null;
  let isOver = false;
  let saidMs = 0;
  let marks: { readonly ms: number; readonly done: number }[] = [];
  return (progress) => {
    const ms = Number(clock.now().nowNs) / 1e6;
    if (progress.stage !== stage) {
      stage = progress.stage;
      marks = [{ ms, done: 0 }];
      saidMs = ms;
      isOver = false;
    }
    const isEnd = progress.done === progress.total;
    if (isOver || (!isEnd && ms - saidMs < periodMs)) return;
    isOver = isEnd;
    saidMs = ms;
    marks.push({ ms, done: progress.done });
    while (marks.length > 2 && ms - marks[1]!.ms > windowMs) marks.shift();
    const { ms: fromMs, done } = marks[0]!;
    say(progressLine(progress, (1e3 * (progress.done - done)) / Math.max(1, ms - fromMs)));
  };
}

/** @param speed bytes per second */
export function progressLine(
  { stage, done, total, what }: ConversionProgress,
  speed: number,
): string {
  const percent = `${Math.floor((100 * done) / Math.max(1, total))} %`.padStart(5);
  const far = `${stageNames[stage]} ${percent}  ${gigabytes(done)} of ${gigabytes(total)}`;
  if (done === total) return `${far}  ${megabytes(speed)}/s`;
  const left = speed > 0 ? `, ${duration((total - done) / speed)} left` : '';
  return `${far}  ${megabytes(speed)}/s${left}  ${what}`;
}

export const gigabytes = (bytes: number): string =>
  bytes < 1e8 ? megabytes(bytes) : `${(bytes / 1e9).toFixed(2)} GB`;

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;

const duration = (s: number): string =>
  s < 90 ? `${Math.ceil(s)} s` : `${Math.floor(s / 60)} min ${Math.ceil(s % 60)} s`;
