/** What the node sees coming and what it sends ↔ ROS messages: traces and commands, for recordings and live topics. */
import { DataError } from '../../errors.js';
import type { ArmCommand, MarkTrace, Pixel, TracePrediction } from '../../types.js';
import type { RosMessage } from './cdr.js';
import {
  messageFromHeader,
  messageFromPose,
  messageFromStamp,
  messageFromVector,
  stampFromMessage,
} from './messages.js';
import { messageFromTiming, numbers, timingFromMessage } from './outputFields.js';
import type { TypeName } from './schemas.js';

/** A message and its type, ready to be written. */
export interface TypedMessage {
  readonly type: TypeName;
  readonly message: RosMessage;
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

// ── Commands ────────────────────────────────────────────────────────────────────────────────────────────────────────

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
