/** Small SVG plots. Sizes in the units of their view box; colours come from the style sheet by class. */
import { html, nothing, type Html } from './html.js';
import type { DimensionTrack, Rate, ReliabilityPlot } from './runReport.js';

const WIDTH = 420;
const HEIGHT = 120;
const TOP = 8;
const BOTTOM = 18;
const LEFT = 52;
const RIGHT = 6;
/** More points than pixels only make the page heavy. */
const MAX_POINTS = 800;
/** A line breaks where time jumps by more than this many usual steps: episodes are not joined. */
const GAP_STEPS = 2.5;

/** Recorded and predicted values over time, on one scale. */
export function trackPlot(track: DimensionTrack): Html {
  const values = [...track.recorded, ...track.predicted].filter(isFiniteNumber);
  if (values.length === 0) return html`<p class="empty">no values</p>`;
  const [low, high] = paddedRange(values);
  const [first, last] = [track.times[0]!, track.times.at(-1)!];
  const x = (time: number): number =>
    LEFT + ((time - first) / Math.max(last - first, 1e-9)) * (WIDTH - LEFT - RIGHT);
  const y = (value: number): number =>
    TOP + ((high - value) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  const line = (name: string, series: readonly (number | null)[]): Html =>
    html`<path class="${name}" d="${pathOf(track.times, series, x, y)}" />`;
  return html`<svg
    viewBox="0 0 ${WIDTH} ${HEIGHT}"
    role="img"
    aria-label="${track.label} over time"
  >
    ${[low, high].map(
      (value) =>
        html`<line
            class="grid"
            x1="${LEFT}"
            x2="${WIDTH - RIGHT}"
            y1="${round(y(value))}"
            y2="${round(y(value))}"
          />
          <text x="${LEFT - 6}" y="${round(y(value) + 3.5)}" text-anchor="end"
            >${short(value)}</text
          >`,
    )}
    ${low < 0 && high > 0 ? zeroLine(y(0)) : nothing}
    ${line('recorded', track.recorded)}${line('predicted', track.predicted)}
    <text x="${LEFT}" y="${HEIGHT - 4}">${short(first)} s</text>
    <text x="${WIDTH - RIGHT}" y="${HEIGHT - 4}" text-anchor="end">${short(last)} s</text>
  </svg>`;
}

/** A rate as a bar from 0 to 1 with its interval. */
export function rateBar(rate: Rate): Html {
  const share = rate.trials === 0 ? 0 : rate.successes / rate.trials;
  const percent = (value: number): string => `${round(100 * Math.min(1, Math.max(0, value)))}%`;
  return html`<svg
    class="rate"
    viewBox="0 0 300 16"
    preserveAspectRatio="none"
    role="img"
    aria-label="${rate.label}: ${percent(share)}"
  >
    <rect class="track" width="300" height="16" rx="3" />
    <rect class="share" width="${percent(share)}" height="16" rx="3" />
    <line class="interval" x1="${percent(rate.low)}" x2="${percent(rate.high)}" y1="8" y2="8" />
  </svg>`;
}

const SQUARE = 300;

/** Share that came true over confidence, both 0 … 1: a point per group, and its way to where the two would be equal. */
export function reliabilityPlot({ label, groups }: ReliabilityPlot): Html {
  const side = SQUARE - LEFT - RIGHT;
  const x = (score: number): number => round(LEFT + score * side);
  const y = (share: number): number => round(TOP + (1 - share) * side);
  const bottom = TOP + side;
  const ticks = [0, 0.5, 1];
  return html`<svg
    viewBox="0 0 ${SQUARE} ${bottom + 34}"
    role="img"
    aria-label="${label}: share that came true over confidence"
  >
    ${ticks.map(
      (tick) =>
        html`<line
            class="grid"
            x1="${LEFT}"
            x2="${SQUARE - RIGHT}"
            y1="${y(tick)}"
            y2="${y(tick)}"
          />
          <text x="${LEFT - 6}" y="${y(tick) + 3.5}" text-anchor="end">${100 * tick} %</text>
          <line class="grid" x1="${x(tick)}" x2="${x(tick)}" y1="${TOP}" y2="${bottom}" />
          <text x="${x(tick)}" y="${bottom + 14}" text-anchor="${tick < 1 ? 'middle' : 'end'}"
            >${100 * tick} %</text
          >`,
    )}
    <line class="equal" x1="${x(0)}" x2="${x(1)}" y1="${y(0)}" y2="${y(1)}" />
    ${groups.map(
      ({ score, share, count }) =>
        html`<line
            class="off"
            x1="${x(score)}"
            x2="${x(score)}"
            y1="${y(score)}"
            y2="${y(share)}"
          />
          <circle cx="${x(score)}" cy="${y(share)}" r="4">
            <title>${short(100 * score)} %: ${short(100 * share)} % of ${count} came true</title>
          </circle>`,
    )}
    <text x="${x(0.5)}" y="${bottom + 29}" text-anchor="middle">confidence</text>
    <text x="12" y="${y(0.5)}" text-anchor="middle" transform="rotate(-90 12 ${y(0.5)})">
      came true
    </text>
  </svg>`;
}

function zeroLine(y: number): Html {
  return html`<line
    class="zero"
    x1="${LEFT}"
    x2="${WIDTH - RIGHT}"
    y1="${round(y)}"
    y2="${round(y)}"
  />`;
}

function pathOf(
  times: readonly number[],
  values: readonly (number | null)[],
  x: (time: number) => number,
  y: (value: number) => number,
): string {
  const every = Math.max(1, Math.ceil(times.length / MAX_POINTS));
  const step = usualStep(times) * every;
  let path = '';
  let before: number | null = null;
  for (let i = 0; i < times.length; i += every) {
    const [time, value] = [times[i]!, values[i] ?? null];
    if (!isFiniteNumber(value)) {
      before = null;
      continue;
    }
    const joined = before !== null && time - before <= GAP_STEPS * step;
    path += `${joined ? 'L' : 'M'}${round(x(time))} ${round(y(value))}`;
    // A point without neighbours still shows: a line of no length with round caps.
    if (!joined) path += 'h0';
    before = time;
  }
  return path;
}

/** Median difference of neighbouring times. */
function usualStep(times: readonly number[]): number {
  const steps = times
    .slice(1)
    .map((time, i) => time - times[i]!)
    .sort((a, b) => a - b);
  return steps[Math.floor(steps.length / 2)] ?? 1;
}

function paddedRange(values: readonly number[]): readonly [number, number] {
  const low = values.reduce((a, b) => Math.min(a, b));
  const high = values.reduce((a, b) => Math.max(a, b));
  return high > low ? [low, high] : [low - 0.5, high + 0.5];
}

function isFiniteNumber(value: number | null | undefined): value is number {
  return value !== null && value !== undefined && Number.isFinite(value);
}

/** Two decimals are a hundredth of a pixel. */
function round(value: number): number {
  return Math.round(value * 100) / 100;
}

/** Three significant digits. */
export function short(value: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  return size >= 1e-4 && size < 1e5 ? String(Number(value.toPrecision(3))) : value.toExponential(1);
}
