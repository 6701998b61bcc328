/** A simulate run → the page a person opens. */
import { REASONS } from '../safety/reasons.js';
import type { CountedReason, Frame, ReliabilityPlot, RunReport } from '../report/runReport.js';
import type { ShownEpisode } from './album.js';
import { causes, causeWords } from './cause.js';
import type { EpisodeRecord } from './episodeRecord.js';
import type { ConfidenceResult, Reliability } from './confidenceResult.js';
import type { Rate, SimulateResult } from './simulateResult.js';
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
      { label: 'Suite', value: `${result.suite.name}, version ${result.suite.version}` },
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
    rates: [
      ...Object.entries(success.byFamily),
      ...Object.entries(result.byScenery),
      ...Object.entries(result.byDisturbance),
    ].map(([label, rate]) => rateRow(label, rate)),
    dimensions: [],
    reasons: reasonsOf(result),
    galleries: [
      gallery(
        'The first episodes',
        shown.filter(({ record }) => record.cause === null),
      ),
      ...causes.map((cause) =>
        gallery(
          `What went wrong: ${causeWords[cause]} (${result.causes[cause] ?? 0})`,
          shown.filter(({ record }) => record.cause === cause),
        ),
      ),
    ].filter(({ frames }) => frames.length > 0),
    reliability: result.confidence ? reliabilityPlots(result.confidence) : [],
    tables: Object.keys(result.causes).length > 0 ? [causeTable(result)] : [],
  };
}

function rateRow(label: string, { successes, episodes, low, high }: Rate) {
  return { label, successes, trials: episodes, low, high };
}

/** Before and after calibration. A table looks better on the episodes that made it than it is: either half has the other's. */
function reliabilityPlots({
  bins,
  error,
  uncalibrated,
  crossFitted,
}: ConfidenceResult): readonly ReliabilityPlot[] {
  const plot = (label: string, note: string, of: Reliability): ReliabilityPlot => ({
    ...{ label, note, groups: of.bins, error: of.error },
  });
  const told = { bins, error };
  if (uncalibrated)
    return [
      plot('Before calibration', "The probability of the answers' tokens.", uncalibrated),
      plot(
        'After calibration',
        "As the policy told it: by the table in its model's model.json.",
        told,
      ),
    ];
  const other =
    'As it would be told: either half of the episodes by a table that the other half makes.';
  return [
    plot('Not calibrated', 'As the policy told it.', told),
    ...(crossFitted ? [plot('If calibrated', other, crossFitted)] : []),
  ];
}

function causeTable({ causes: counts, guardStops, episodes }: SimulateResult) {
  const row = (words: string, n: number): readonly string[] => [
    words,
    String(n),
    `${number((100 * n) / episodes)} %`,
  ];
  return {
    title: 'Failures by cause',
    note: 'Each failed episode once, told from the true course of the scene.',
    columns: [
      { label: 'cause', align: 'left' },
      { label: 'episodes', align: 'right' },
      { label: 'of all', align: 'right' },
    ],
    rows: causes.flatMap((cause) => {
      const n = counts[cause];
      if (n === undefined) return [];
      const stops = cause === 'guardStop' ? Object.entries(guardStops) : [];
      return [row(causeWords[cause], n), ...stops.map(([code, times]) => row(`– ${code}`, times))];
    }),
  } as const;
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
function wordsFor({ cause, latched }: EpisodeRecord): string {
  if (cause === null) return 'done';
  return latched === null ? causeWords[cause] : `${causeWords[cause]} (${latched})`;
}

function gallery(title: string, episodes: readonly ShownEpisode[]) {
  return {
    title,
    note: 'Moving pictures; marks appear with the first trace. Numbered marks: the points the model was asked about. Coloured lines: where it said they would move in the next 1.6 s. White line: the path the gripper took.',
    frames: episodes.map(({ moving, record }): Frame => {
      const { index, instruction, duration, disturbed } = record;
      const upset = disturbed ? ` (${disturbed.kind} at ${number(disturbed.at)} s)` : '';
      return {
        image: `data:image/webp;base64,${Buffer.from(moving).toString('base64')}`,
        alt: `${instruction}: ${wordsFor(record)}`,
        caption: `Episode ${index + 1}: ${instruction}${upset} — ${wordsFor(record)} after ${number(duration)} s`,
        outcome: record.cause === null ? 'good' : 'bad',
      };
    }),
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
