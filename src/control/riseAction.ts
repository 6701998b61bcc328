/** Straight up (z of the base frame), slowly, with the gripper opened first or left as it is: an action like any other. */
import type { Config } from '../config.js';
import type { ActionPrediction, Pose } from '../types.js';
import { type Instant, nsFromSeconds } from './clock.js';
import { minimumJerk } from './homing.js';
import { gripperAsItIs } from './jogPolicy.js';

export interface RiseOptions {
  /** Where the tool is, base frame. */
  readonly from: Pose;
  readonly gripper: 'open' | 'keep';
  /** m; less where the workspace ends before. */
  readonly rise: number;
  /** m/s on average, at full speed. */
  readonly speed: number;
  /** 0 … 1 of the configured speed that the guard leaves. */
  readonly pace: number;
  readonly episode: number;
  readonly at: Instant;
}

/** s: one step of the way. */
const STEP = 0.1;
/** s for fingers to let go before the tool moves. */
const OPENING = 0.4;
/** m below the workspace's top that is kept; a way shorter than this is none. */
const MARGIN = 0.01;
/** s: the longest action that is accepted, with a margin. */
const LONGEST = 9;

/** @returns null where there is nothing to do: no room to rise and nothing to open, or a pace that would take too long. */
export function riseAction(config: Config, options: RiseOptions): ActionPrediction | null {
  const { from, gripper, speed, pace, episode, at } = options;
  const [x, y, z] = from.translation;
  const room = config.guard.workspace.max[2] - MARGIN - z;
  const rise = Math.min(options.rise, room);
  const climbs = rise >= MARGIN ? Math.ceil(rise / (speed * pace) / STEP) : 0;
  const waits = gripper === 'open' ? Math.ceil(OPENING / STEP) : 0;
  const count = waits + climbs;
  if (count === 0 || !(count * STEP <= LONGEST)) return null;
  const opening = gripper === 'open' ? 1 : gripperAsItIs;
  const steps = Array.from({ length: count }, (_, k) => {
    const share = k < waits ? 0 : minimumJerk((k - waits + 1) / climbs);
    return { pose: { ...from, translation: [x, y, z + share * rise] as const }, gripper: opening };
  });
  return {
    observationStampNs: at.stampNs,
    episode,
    chunk: {
      kind: 'endEffectorPose',
      stepPeriodNs: nsFromSeconds(STEP),
      frameId: config.baseFrame,
      steps,
    },
    confidence: 1,
    timing: { decodeMs: 0, preprocessMs: 0, visionMs: 0, generateMs: 0, totalMs: 0 },
  };
}
