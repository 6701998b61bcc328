/** What the node predicts, decides and sends ↔ ROS messages, for recordings and (later) the live topics. */
import { DataError } from '../../errors.js';
import type {
  ActionChunk,
  ActionPrediction,
  ArmCommand,
  MarkTrace,
  Pixel,
  Quaternion,
  Refusal,
  Timing,
  TracePrediction,
  Vec3,
  Verdict,
} from '../../types.js';
import type { RosMessage } from './cdr.js';
import {
  messageFromHeader,
  messageFromPose,
  messageFromStamp,
  messageFromVector,
  stampFromMessage,
} from './messages.js';
import type { TypeName } from './schemas.js';

/** A message and its type, ready to be written. */
export interface TypedMessage {
  readonly type: TypeName;
  readonly message: RosMessage;
}

// Constants of ActionChunk.msg, in its order.
const kinds = ['endEffectorDelta', 'endEffectorPose', 'jointPosition'] as const;
const references = ['lastTarget', 'observedPose'] as const;
const compositions = ['base', 'tool'] as const;
/** Constants of Status.msg, in its order. */
const outcomes = ['pass', 'limited', 'halt', 'refused'] as const;

// ── Action predictions ──────────────────────────────────────────────────────────────────────────────────────────────

/** magma_vla/ActionChunk. */
export function messageFromAction(prediction: ActionPrediction): RosMessage {
  const { chunk } = prediction;
  const isDelta = chunk.kind === 'endEffectorDelta';
  return {
    header: messageFromHeader(prediction.observationStampNs, chunk.frameId),
    episode: BigInt(prediction.episode),
    step_period: messageFromStamp(chunk.stepPeriodNs),
    kind: kinds.indexOf(chunk.kind),
    reference: isDelta ? references.indexOf(chunk.reference) : 0,
    composition: isDelta ? compositions.indexOf(chunk.composition) : 0,
    values: stepValues(chunk).flat(),
    gripper: chunk.steps.map((step) => step.gripper),
    confidence: prediction.confidence,
    timing_ms: messageFromTiming(prediction.timing),
  };
}

export function actionFromMessage(message: RosMessage, where: string): ActionPrediction {
  const { header, kind } = message as { header: RosMessage; kind: number };
  const shared = {
    stepPeriodNs: stampFromMessage(message['step_period'], where),
    frameId: String(header['frame_id']),
  };
  const gripper = numbers(message['gripper']);
  const rows = split(numbers(message['values']), gripper.length, where);
  return {
    observationStampNs: stampFromMessage(header['stamp'], where),
    episode: Number(message['episode']),
    chunk: chunkFrom(kinds[kind], rows, gripper, message, shared, where),
    confidence: Number(message['confidence']),
    timing: timingFromMessage(message['timing_ms'], where),
  };
}

function stepValues(chunk: ActionChunk): number[][] {
  if (chunk.kind === 'endEffectorDelta')
    return chunk.steps.map((s) => [...s.translation, ...s.rotation]);
  if (chunk.kind === 'endEffectorPose')
    return chunk.steps.map((s) => [...s.pose.translation, ...s.pose.rotation]);
  return chunk.steps.map((s) => [...s.position]);
}

function chunkFrom(
  kind: ActionChunk['kind'] | undefined,
  rows: readonly (readonly number[])[],
  gripper: readonly number[],
  message: RosMessage,
  shared: { readonly stepPeriodNs: bigint; readonly frameId: string },
  where: string,
): ActionChunk {
  const width = { endEffectorDelta: 6, endEffectorPose: 7, jointPosition: rows[0]?.length ?? 0 };
  const reference = references[Number(message['reference'])];
  const composition = compositions[Number(message['composition'])];
  if (!kind || !reference || !composition || rows.some((row) => row.length !== width[kind]))
    throw new DataError(where, `kind ${String(message['kind'])}`, 'an ActionChunk as defined');
  const at = (i: number, from: number, to: number): readonly number[] => rows[i]!.slice(from, to);
  if (kind === 'endEffectorDelta')
    return {
      ...shared,
      kind,
      reference,
      composition,
      steps: gripper.map((g, i) => ({
        translation: at(i, 0, 3) as unknown as Vec3,
        rotation: at(i, 3, 6) as unknown as Vec3,
        gripper: g,
      })),
    };
  if (kind === 'endEffectorPose')
    return {
      ...shared,
      kind,
      steps: gripper.map((g, i) => ({
        pose: {
          translation: at(i, 0, 3) as unknown as Vec3,
          rotation: at(i, 3, 7) as unknown as Quaternion,
        },
        gripper: g,
      })),
    };
  return { ...shared, kind, steps: gripper.map((g, i) => ({ position: rows[i]!, gripper: g })) };
}

// ── Trace predictions ───────────────────────────────────────────────────────────────────────────────────────────────

/** magma_vla/TraceOfMarks. `frameId` is the source picture's. */
export function messageFromTraces(prediction: TracePrediction, frameId: string): RosMessage {
  const { marks, traces } = prediction;
  const future = traces.flatMap((trace) => trace.future);
  return {
    header: messageFromHeader(prediction.observationStampNs, frameId),
    camera: prediction.camera,
    episode: BigInt(prediction.episode),
    step_period: messageFromStamp(prediction.stepPeriodNs),
    mark_ids: marks.map((mark) => mark.id),
    mark_x: marks.map((mark) => mark.at.x),
    mark_y: marks.map((mark) => mark.at.y),
    trace_ids: traces.map((trace) => trace.id),
    start_x: traces.map((trace) => trace.start.x),
    start_y: traces.map((trace) => trace.start.y),
    trace_lengths: traces.map((trace) => trace.future.length),
    future_x: future.map((point) => point.x),
    future_y: future.map((point) => point.y),
    confidence: prediction.confidence,
    timing_ms: messageFromTiming(prediction.timing),
  };
}

export function tracesFromMessage(message: RosMessage, where: string): TracePrediction {
  const header = message['header'] as RosMessage;
  const points = (name: string): Pixel[] => {
    const [xs, ys] = [numbers(message[`${name}_x`]), numbers(message[`${name}_y`])];
    if (xs.length !== ys.length)
      throw new DataError(`${where}: ${name}`, `${xs.length} x and ${ys.length} y`, 'pairs');
    return xs.map((x, i) => ({ x, y: ys[i]! }));
  };
  const [marks, starts, future] = [points('mark'), points('start'), points('future')];
  const [markIds, traceIds] = [numbers(message['mark_ids']), numbers(message['trace_ids'])];
  const lengths = numbers(message['trace_lengths']);
  const total = lengths.reduce((sum, length) => sum + length, 0);
  if (
    markIds.length !== marks.length ||
    traceIds.length !== starts.length ||
    lengths.length !== starts.length ||
    total !== future.length
  )
    throw new DataError(where, 'columns of different lengths', 'a TraceOfMarks as defined');
  let from = 0;
  const traces: MarkTrace[] = traceIds.map((id, i) => {
    const points = future.slice(from, from + lengths[i]!);
    from += lengths[i]!;
    return { id, start: starts[i]!, future: points };
  });
  return {
    observationStampNs: stampFromMessage(header['stamp'], where),
    episode: Number(message['episode']),
    camera: String(message['camera']),
    stepPeriodNs: stampFromMessage(message['step_period'], where),
    marks: markIds.map((id, i) => ({ id, at: marks[i]! })),
    traces,
    confidence: Number(message['confidence']),
    timing: timingFromMessage(message['timing_ms'], where),
  };
}

/** Colours that stay apart on wood, skin and metal; one per mark, in turn. r, g, b in 0 … 1. */
const colours = [
  [0.99, 0.31, 0.28],
  [0.2, 0.72, 0.99],
  [0.99, 0.8, 0.18],
  [0.42, 0.87, 0.42],
  [0.86, 0.47, 0.98],
] as const;
/** foxglove_msgs/PointsAnnotation.LINE_STRIP */
const LINE_STRIP = 3;

/** foxglove_msgs/ImageAnnotations: a circle and its number per mark, a line per trace. The stamp is the picture's. */
export function annotationsFromTraces(prediction: TracePrediction): RosMessage {
  const timestamp = messageFromStamp(prediction.observationStampNs);
  const clear = { r: 0, g: 0, b: 0, a: 0 };
  const colourOf = (id: number): RosMessage => {
    const [r, g, b] = colours[id % colours.length]!;
    return { r, g, b, a: 1 };
  };
  return {
    circles: prediction.marks.map(({ id, at }) => ({
      timestamp,
      position: { x: at.x, y: at.y },
      diameter: 6,
      thickness: 1,
      fill_color: clear,
      outline_color: colourOf(id),
    })),
    points: prediction.traces.map(({ id, start, future }) => ({
      timestamp,
      type: LINE_STRIP,
      points: [start, ...future].map(({ x, y }) => ({ x, y })),
      outline_color: colourOf(id),
      outline_colors: [],
      fill_color: clear,
      thickness: 1,
    })),
    texts: prediction.marks.map(({ id, at }) => ({
      timestamp,
      position: { x: at.x + 4, y: at.y - 4 },
      text: String(id),
      font_size: 10,
      text_color: colourOf(id),
      background_color: { r: 0, g: 0, b: 0, a: 0.6 },
    })),
  };
}

// ── Verdicts, refusals, commands ────────────────────────────────────────────────────────────────────────────────────

/** magma_vla/Status of a verdict. */
export function messageFromVerdict(verdict: Verdict, stampNs: bigint): RosMessage {
  return status(stampNs, verdict.outcome, verdict.reasons);
}

/** magma_vla/Status of a refusal. */
export function messageFromRefusal(refusal: Refusal, stampNs: bigint): RosMessage {
  return status(stampNs, 'refused', [{ code: refusal.kind, message: refusal.message }]);
}

/** Outcome and reasons of a magma_vla/Status. */
export function statusFromMessage(
  message: RosMessage,
  where: string,
): {
  readonly outcome: (typeof outcomes)[number];
  readonly reasons: readonly { readonly code: string; readonly message: string }[];
} {
  const outcome = outcomes[Number(message['outcome'])];
  const codes = message['codes'] as readonly string[];
  const messages = message['messages'] as readonly string[];
  if (!outcome || codes.length !== messages.length)
    throw new DataError(where, `outcome ${String(message['outcome'])}`, 'a Status as defined');
  return { outcome, reasons: codes.map((code, i) => ({ code, message: messages[i]! })) };
}

function status(
  stampNs: bigint,
  outcome: (typeof outcomes)[number],
  reasons: readonly { readonly code: string; readonly message: string }[],
): RosMessage {
  return {
    header: messageFromHeader(stampNs, ''),
    outcome: outcomes.indexOf(outcome),
    codes: reasons.map((reason) => reason.code),
    messages: reasons.map((reason) => reason.message),
  };
}

/** JointTrajectory of one point, TwistStamped or PoseStamped. `periodNs` is the time to reach a joint point. */
export function messageFromCommand(
  command: ArmCommand,
  stampNs: bigint,
  periodNs: bigint,
): TypedMessage {
  if (command.kind === 'joint')
    return {
      type: 'trajectory_msgs/JointTrajectory',
      message: {
        header: messageFromHeader(stampNs, ''),
        joint_names: [...command.names],
        points: [
          {
            positions: [...command.position],
            velocities: [...command.velocity],
            accelerations: [],
            effort: [],
            time_from_start: messageFromStamp(periodNs),
          },
        ],
      },
    };
  const header = messageFromHeader(stampNs, command.frameId);
  if (command.kind === 'pose')
    return {
      type: 'geometry_msgs/PoseStamped',
      message: { header, pose: messageFromPose(command.pose) },
    };
  const twist = {
    linear: messageFromVector(command.linear),
    angular: messageFromVector(command.angular),
  };
  return { type: 'geometry_msgs/TwistStamped', message: { header, twist } };
}

// ── Fields ──────────────────────────────────────────────────────────────────────────────────────────────────────────

function messageFromTiming(t: Timing): readonly number[] {
  return [t.decodeMs, t.preprocessMs, t.visionMs, t.generateMs, t.totalMs];
}

function timingFromMessage(value: unknown, where: string): Timing {
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

function numbers(value: unknown): readonly number[] {
  return Array.from(value as ArrayLike<number>);
}

/** One row per step. */
function split(
  values: readonly number[],
  rows: number,
  where: string,
): readonly (readonly number[])[] {
  const width = rows === 0 ? 0 : values.length / rows;
  if (!Number.isInteger(width))
    throw new DataError(where, `${values.length} values for ${rows} steps`, 'a whole row per step');
  return Array.from({ length: rows }, (_, i) => values.slice(i * width, (i + 1) * width));
}
