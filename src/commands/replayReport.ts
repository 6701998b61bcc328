/** A replay → the page a person opens. */
import type { CountedReason, Frame, RunReport, Table } from '../report/runReport.js';
import { REASONS } from '../safety/reasons.js';
import type { Replayed, ReplayResult } from './replayResult.js';

export interface ReplayFacts {
  /** The command line that gives the same run. */
  readonly command: string;
  readonly model: string;
  readonly robot: string;
  readonly version: string;
  /** Mismatches of model and robot that were allowed. */
  readonly mismatches: readonly string[];
}

const dryRunWords =
  'The arm follows its record, not these commands: nothing is sent, and the tracking error is not checked. Every episode is taken up anew where the record has the arm; a halt that latches holds until the next episode, while predictions go on.';

export function replayReport(
  replayed: Replayed,
  frames: readonly Frame[],
  facts: ReplayFacts,
): RunReport {
  const { result, tracks } = replayed;
  return {
    title: 'Replay of a recording',
    summary: `${result.policy} on ${result.bag}: ${result.episodes} episodes, ${result.durationS.toFixed(1)} s, through the control loop and the guard.`,
    facts: [
      { label: 'Command', value: facts.command },
      { label: 'Policy', value: facts.model },
      { label: 'Robot', value: facts.robot },
      {
        label: 'Clock',
        value: `bag time: every answer counts ${(1e3 * result.latencyS).toFixed(0)} ms after its picture, whatever the load`,
      },
      { label: 'Guard', value: result.guard },
      { label: 'Predictions (SHA-256)', value: result.predictionsSha256 },
      { label: 'magma_vla', value: facts.version },
    ],
    notices: noticesOf(result, facts.mismatches),
    figures: figuresOf(result),
    rates: [],
    dimensions: result.notCompared === null ? tracks : [],
    reasons: reasonsOf(replayed),
    galleries: galleriesOf(result, frames),
    reliability: [],
    tables: [episodeTable(replayed), ...roundTripTable(result), messageTable(result)],
  };
}

function noticesOf(result: ReplayResult, mismatches: readonly string[]): RunReport['notices'] {
  const { messages } = result;
  const warnings = [
    ...(result.nothing === null ? [] : [`Nothing was predicted: ${result.nothing}.`]),
    ...mismatches.map(
      (sentence) =>
        `The model does not fit this robot (allowed by --allow-mismatch): ${sentence}. Its errors say how it fails here, not how good it is.`,
    ),
    ...result.warnings,
    ...messages.absentTopics.map((topic) => `The bag has no messages on ${topic}.`),
    ...(result.notCompared === null
      ? []
      : [`Not compared with the record: ${result.notCompared}.`]),
  ];
  return [
    ...warnings.map((text) => ({ level: 'warning', text }) as const),
    { level: 'note', text: dryRunWords },
  ];
}

function figuresOf(result: ReplayResult): RunReport['figures'] {
  const sum = (counts: Readonly<Record<string, number>>): number =>
    Object.values(counts).reduce((a, b) => a + b, 0);
  const trip = result.tokenRoundTrip;
  return [
    {
      label: 'Predictions',
      value: String(result.predictions),
      note: `of ${result.requests} requests; the others were refused`,
    },
    { label: 'Traces', value: String(result.traces), note: 'one picture with marks each' },
    { label: 'Halts', value: String(sum(result.halts)), note: 'by the guard' },
    ...(result.recordedRun
      ? [
          {
            label: 'As in the recorded run',
            value: `${result.recordedRun.identical} of ${result.recordedRun.compared}`,
            note: 'predictions that are the same to the last bit',
          },
        ]
      : []),
    ...(trip
      ? [
          {
            label: 'Tokens and back',
            value: `${Math.max(...Object.values(trip.worstBins)).toFixed(3)} bins`,
            note: `largest error of ${trip.actions} recorded actions; half a bin is exact`,
          },
        ]
      : []),
  ];
}

/** Guard and control first, with what they said first; then what the model refused and control did not count. */
function reasonsOf({ result, firstReasons }: Replayed): CountedReason[] {
  const { halts, reasons, refusals, staleInputs } = result;
  const known: Readonly<Record<string, { readonly effect: string; readonly means: string }>> =
    REASONS;
  const all = { ...refusals, ...staleInputs, ...reasons };
  return Object.entries(all).map(([code, count]): CountedReason => ({
    outcome: code in halts ? 'halt' : code in known ? 'limited' : 'refused',
    code,
    message: firstReasons.get(code) ?? known[code]?.means ?? 'no usable answer',
    count,
  }));
}

function galleriesOf({ traces }: ReplayResult, frames: readonly Frame[]): RunReport['galleries'] {
  if (frames.length === 0) return [];
  const note =
    traces > 0
      ? 'Where a trace was given: numbered marks are points the model was asked about, coloured lines where it said they would move. Pictures without marks: the answer was refused.'
      : 'What the first camera saw when an action was asked for.';
  return [{ title: 'What it saw', note, frames }];
}

function episodeTable({ episodes }: Replayed): Table {
  return {
    title: 'Episodes',
    note: 'Predictions of requests, and the halts in each.',
    columns: [
      { label: 'from', align: 'right' },
      { label: 'episode', align: 'left' },
      { label: 'instruction', align: 'left' },
      { label: 'predictions', align: 'right' },
      { label: 'halts', align: 'left' },
    ],
    rows: episodes.map((episode) => [
      `${episode.start.toFixed(1)} s`,
      episode.name,
      episode.instruction,
      `${episode.predictions} of ${episode.requests}`,
      episode.notTakenUp ?? (Object.keys(episode.halts).join(', ') || '–'),
    ]),
  };
}

function roundTripTable({ tokenRoundTrip: trip }: ReplayResult): Table[] {
  if (!trip) return [];
  return [
    {
      title: 'Recorded actions as tokens',
      note: 'Encoded with the model’s statistics and decoded again. Values outside the statistics are clipped by design and counted apart.',
      columns: [
        { label: 'dimension', align: 'left' },
        { label: 'largest error, bins', align: 'right' },
        { label: 'clipped', align: 'right' },
        { label: 'actions', align: 'right' },
      ],
      rows: Object.entries(trip.worstBins).map(([name, worst]) => [
        name,
        worst.toFixed(4),
        String(trip.clipped[name]),
        String(trip.actions),
      ]),
    },
  ];
}

function messageTable({ messages }: ReplayResult): Table {
  return {
    title: 'Messages',
    note: 'What the bag held on the topics of robot.yaml.',
    columns: [
      { label: '', align: 'left' },
      { label: 'count', align: 'right' },
      { label: 'the first of them', align: 'left' },
    ],
    rows: [
      ...Object.entries(messages.read).map(([what, n]) => [`${what} read`, String(n), '']),
      ...Object.entries(messages.refused).map(([topic, { count, first }]) => [
        `${topic} refused`,
        String(count),
        first,
      ]),
      ...Object.entries(messages.alignment).map(([code, n]) => [code, String(n), '']),
    ],
  };
}
