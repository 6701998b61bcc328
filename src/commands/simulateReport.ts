/** A simulate run → the page a person opens. */
import { REASONS } from '../safety/reasons.js';
import type { CountedReason, Frame, RunReport } from '../report/runReport.js';
import type { ShownEpisode } from './album.js';
import { outcomeWords } from './album.js';
import type { SimulateResult } from './simulate.js';
import type { TraceError } from './traceScore.js';

export interface SimulateFacts {
  /** The command line that gives the same run. */
  readonly command: string;
  readonly model: string;
  readonly robot: string;
  readonly version: string;
}

const number = (value: number, digits = 1): string => value.toFixed(digits);

export function simulateReport(
  result: SimulateResult,
  shown: readonly ShownEpisode[],
  facts: SimulateFacts,
): RunReport {
  const { success, traceError, latencyMs } = result;
  return {
    title: 'Simulated episodes',
    summary: `${success.successes} of ${success.episodes} tasks done by ${result.policy}, through the control loop and the guard.`,
    facts: [
      { label: 'Command', value: facts.command },
      { label: 'Policy', value: facts.model },
      { label: 'Robot', value: facts.robot },
      { label: 'Clock', value: clockWords(result) },
      { label: 'Predictions (SHA-256)', value: result.predictionsSha256 },
      { label: 'magma_vla', value: facts.version },
    ],
    notices: [],
    figures: [
      {
        label: 'Success',
        value: `${number(100 * success.rate, 0)} %`,
        note: `${success.successes} of ${success.episodes} episodes`,
      },
      { label: 'Wrong object', value: String(result.wrongObject), note: 'episodes' },
      {
        label: 'Latency p99',
        value: latencyMs ? `${number(latencyMs.p99, 0)} ms` : 'nothing played',
        note: `picture to played action, ${result.clock === 'lockstep' ? 'simulated' : 'real'} time`,
      },
      ...(traceError ? [traceFigure(traceError)] : []),
    ],
    rates: Object.entries(success.byFamily).map(([label, { successes, episodes, low, high }]) => ({
      label,
      successes,
      trials: episodes,
      low,
      high,
    })),
    dimensions: [],
    reasons: reasonsOf(result),
    galleries: [
      gallery(
        'The first episodes',
        shown.filter(({ result: r }) => r.outcome === 'success'),
      ),
      gallery(
        'What went wrong',
        shown.filter(({ result: r }) => r.outcome !== 'success'),
      ),
    ].filter(({ frames }) => frames.length > 0),
    tables: [],
  };
}

function traceFigure({
  ade,
  stayStill,
  constantVelocity,
  traces,
  missed,
  refusedShare,
}: TraceError) {
  const refused = `${number(100 * refusedShare, 0)} % of requests refused`;
  if (ade === null || stayStill === null || constantVelocity === null)
    return { label: 'Trace error', value: 'no mark moved', note: refused };
  return {
    label: 'Trace error',
    value: number(ade),
    note: `of 256, mean over the steps of ${traces} marks that moved (standing still: ${number(stayStill)}, constant velocity: ${number(constantVelocity)}); ${missed} said to rest, ${refused}`,
  };
}

function clockWords({ clock }: SimulateResult): string {
  return clock === 'lockstep'
    ? 'lock-step: simulated time and a stated latency, however loaded the machine'
    : 'wall: real time, measured latency';
}

/** How an episode ended; a stop by the guard is not a lack of time. */
function wordsFor({ outcome, latched }: ShownEpisode['result']): string {
  return latched === null ? outcomeWords[outcome] : `stopped by the guard (${latched})`;
}

function gallery(title: string, episodes: readonly ShownEpisode[]) {
  return {
    title,
    note: 'Moving pictures; marks appear with the first trace. Numbered marks: the points the model was asked about. Coloured lines: where it said they would move in the next 1.6 s. White line: the path the gripper took.',
    frames: episodes.map(({ moving, instruction, result, index }): Frame => ({
      image: `data:image/webp;base64,${Buffer.from(moving).toString('base64')}`,
      alt: `${instruction}: ${wordsFor(result)}`,
      caption: `Episode ${index + 1}: ${instruction} — ${wordsFor(result)} after ${number(result.duration)} s`,
      outcome: result.outcome === 'success' ? 'good' : 'bad',
    })),
  };
}

function reasonsOf({ reasons, refusals, halts }: SimulateResult): CountedReason[] {
  const known: Readonly<Record<string, { readonly effect: string; readonly means: string }>> =
    REASONS;
  const ofGuard = Object.entries(reasons).map(([code, count]): CountedReason => ({
    outcome: code in halts ? 'halt' : code in known ? 'limited' : 'refused',
    code,
    message: known[code]?.means ?? 'an answer that was not played',
    count,
  }));
  const ofModel = Object.entries(refusals).map(([code, count]): CountedReason => ({
    outcome: 'refused',
    code,
    message: 'the model gave no usable answer',
    count,
  }));
  return [...ofGuard, ...ofModel].sort((a, b) => b.count - a.count);
}
