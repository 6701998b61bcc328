/** What the simulation's worker and its main-thread robot say to each other: structured-clone data only. */
import type { CameraImage, PinholeCamera, Pixel, RgbImage } from '../../types.js';
import type { Outcome, SceneState, Task } from './tasks.js';

export interface ServoCommand {
  readonly position: readonly number[];
  readonly velocity: readonly number[];
  readonly gripper: number | null;
}

export type SimRequest =
  | {
      readonly kind: 'reset';
      readonly seed: number;
      readonly task: Task | null;
      readonly family: Task['family'] | null;
    }
  | { readonly kind: 'advance'; readonly durationNs: bigint; readonly command: ServoCommand | null }
  | { readonly kind: 'picture'; readonly height: number; readonly width: number };

/** The truth behind a camera frame: for the expert, for judging and for pictures; no policy that is measured sees it. */
export interface Frame {
  readonly stampNs: bigint;
  readonly state: SceneState;
  readonly camera: PinholeCamera;
  readonly points: readonly { readonly name: string; readonly at: Pixel }[];
}

export type SimReply =
  | { readonly kind: 'reset'; readonly task: Task; readonly stampNs: bigint }
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
    }
  | { readonly kind: 'picture'; readonly image: RgbImage }
  | { readonly kind: 'failed'; readonly message: string };
