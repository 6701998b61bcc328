/** What the simulation's worker and its main-thread robot say to each other: structured-clone data only. */
import type { CameraImage, PinholeCamera, Pixel, RgbImage } from '../../types.js';
import type { Disturbance, DisturbanceEvent } from './disturb.js';
import type { Outcome } from './judge.js';
import type { ScenePlan } from './suites.js';
import type { SceneState, Task } from './tasks.js';

export interface ServoCommand {
  readonly position: readonly number[];
  readonly velocity: readonly number[];
  readonly gripper: number | null;
}

export type SimRequest =
  | {
      readonly kind: 'reset';
      readonly plan: Omit<ScenePlan, 'extra'>;
      /** Of which one happens in the episode; none: nothing does. */
      readonly disturbances: readonly Disturbance[];
      /** Simulated time that passes unseen between two episodes. */
      readonly pauseNs: bigint;
    }
  | { readonly kind: 'advance'; readonly durationNs: bigint; readonly command: ServoCommand | null }
  /** One physics step per command: for those who command at every step. At least one. */
  | { readonly kind: 'step'; readonly commands: readonly ServoCommand[] }
  | { readonly kind: 'picture'; readonly height: number; readonly width: number };

/** What the arm measures after a physics step: rad or m, per s, N·m or N. */
export interface StepReading {
  readonly stampNs: bigint;
  readonly joints: JointColumns;
  /** Left, right; each its own travel, 0 closed. */
  readonly fingers: JointColumns;
}

export interface JointColumns {
  readonly position: readonly number[];
  readonly velocity: readonly number[];
  readonly effort: readonly number[];
}

/** The truth behind a camera frame: for the expert, for judging and for pictures; no policy that is measured sees it. */
export interface Frame {
  readonly stampNs: bigint;
  /** Whether the picture shows the scene: black ones show nothing, and a frozen one's `state` has what lay then. */
  readonly shows: 'scene' | 'earlier' | 'nothing';
  readonly state: SceneState;
  readonly camera: PinholeCamera;
  readonly points: readonly { readonly name: string; readonly at: Pixel }[];
}

export type SimReply =
  | {
      readonly kind: 'reset';
      readonly task: Task;
      readonly instruction: string;
      readonly stampNs: bigint;
      readonly reading: StepReading;
      readonly camera: PinholeCamera;
    }
  | {
      readonly kind: 'stepped';
      /** One per command. */
      readonly readings: readonly StepReading[];
      /** The camera frame that fell due, taken at the stamp it bears. */
      readonly image: CameraImage | null;
      readonly outcome: Outcome;
    }
  | {
      readonly kind: 'advanced';
      readonly stampNs: bigint;
      readonly joints: {
        readonly position: number[];
        readonly velocity: number[];
        readonly effort: number[];
      };
      readonly gripperWidth: number;
      /** A camera frame that fell due, with the truth at its stamp. */
      readonly image: CameraImage | null;
      readonly frame: Frame | null;
      readonly outcome: Outcome;
      /** What began to go wrong meanwhile. */
      readonly disturbed: DisturbanceEvent | null;
    }
  | { readonly kind: 'picture'; readonly image: RgbImage }
  | { readonly kind: 'failed'; readonly message: string };
