/**
 * Every type that crosses a room. Plain readonly data: no methods, no ROS types, no ORT types.
 *
 * Units are SI and REP-103 (metres, radians, seconds) unless the name says otherwise (`stampNs`, `timeoutMs`).
 * Quaternions are [x, y, z, w]. Sizes are height, width, in that order. Gripper openings run from 0 (closed) to 1 (open).
 * `stampNs` is the ROS (or bag, or simulation) clock; `nowNs` is the steady clock. The two are never subtracted.
 */

export type Vec3 = readonly [number, number, number];
export type Quaternion = readonly [number, number, number, number];

/** Rigid transform. Named `aFromB`: p_a = rotation · p_b + translation. */
export interface Pose {
  readonly translation: Vec3;
  readonly rotation: Quaternion;
}

// ── Images ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Decoded picture: rgb, 8 bit, row-major, no padding. data.length = height · width · 3. */
export interface RgbImage {
  readonly height: number;
  readonly width: number;
  readonly data: Uint8Array;
}

/** A camera frame exactly as it arrived; only the inference worker decodes it. The buffer is borrowed, never written. */
export type CameraImage =
  | {
      readonly kind: 'raw';
      readonly stampNs: bigint;
      readonly frameId: string;
      readonly height: number;
      readonly width: number;
      /** sensor_msgs/image_encodings name: rgb8, bgr8, rgba8, bgra8, mono8, mono16, bayer_*8, yuv422 … */
      readonly encoding: string;
      /** Bytes per row, padding included. */
      readonly step: number;
      readonly isBigEndian: boolean;
      readonly data: Uint8Array;
    }
  | {
      readonly kind: 'compressed';
      readonly stampNs: bigint;
      readonly frameId: string;
      /** sensor_msgs/CompressedImage.format: names jpeg or png somewhere. */
      readonly format: string;
      readonly data: Uint8Array;
    };

/** A pixel of the source image: x right, y down, origin = top-left corner of the top-left pixel. */
export interface Pixel {
  readonly x: number;
  readonly y: number;
}

/** Pinhole camera without distortion. `cameraFromBase` maps into the optical frame (x right, y down, z forward). */
export interface PinholeCamera {
  readonly height: number;
  readonly width: number;
  readonly fx: number;
  readonly fy: number;
  readonly cx: number;
  readonly cy: number;
  readonly cameraFromBase: Pose;
}

// ── What the robot reports ──────────────────────────────────────────────────────────────────────────────────────────

/** Joints in the order of the configuration. Velocity and effort are null where the robot does not report them. */
export interface JointReading {
  /** Oldest stamp among the joints: partial messages are merged joint by joint. */
  readonly stampNs: bigint;
  readonly names: readonly string[];
  readonly position: readonly number[];
  readonly velocity: readonly number[] | null;
  readonly effort: readonly number[] | null;
}

/** Pose of the tool centre point in `frameId`, from forward kinematics or from a topic. */
export interface EndEffectorReading {
  readonly stampNs: bigint;
  readonly frameId: string;
  readonly pose: Pose;
}

export interface GripperReading {
  readonly stampNs: bigint;
  /** 0 closed … 1 open. */
  readonly opening: number;
}

/** What a policy sees: the latest of everything at one stamp. */
export interface Observation {
  /** Stamp of the newest image of the primary (first configured) camera. */
  readonly stampNs: bigint;
  /** Increases by one at every new instruction or reset; answers of an earlier episode are dropped. */
  readonly episode: number;
  readonly instruction: string;
  /** By camera name of the configuration. */
  readonly images: Readonly<Record<string, CameraImage>>;
  readonly joints: JointReading | null;
  readonly endEffector: EndEffectorReading | null;
  readonly gripper: GripperReading | null;
}

// ── What a policy answers ───────────────────────────────────────────────────────────────────────────────────────────

/** One end-effector step. `rotation` is a rotation vector (axis · angle, rad). */
export interface EndEffectorDelta {
  readonly translation: Vec3;
  readonly rotation: Vec3;
  readonly gripper: number;
}

/** Step k of a chunk spans observation stamp + k · stepPeriodNs … + (k + 1) · stepPeriodNs. */
export type ActionChunk = { readonly stepPeriodNs: bigint; readonly frameId: string } & (
  | {
      readonly kind: 'endEffectorDelta';
      /** What the first delta is added to: the last commanded target, or the pose seen in the observation. */
      readonly reference: 'lastTarget' | 'observedPose';
      /** Deltas expressed in the base frame (R' = δ·R, t' = t + δ) or in the tool frame (T' = T·δ). */
      readonly composition: 'base' | 'tool';
      readonly steps: readonly EndEffectorDelta[];
    }
  | {
      readonly kind: 'endEffectorPose';
      readonly steps: readonly { readonly pose: Pose; readonly gripper: number }[];
    }
  | {
      readonly kind: 'jointPosition';
      readonly steps: readonly { readonly position: readonly number[]; readonly gripper: number }[];
    }
);

/** Milliseconds spent on one answer, measured in the worker. */
export interface Timing {
  readonly decodeMs: number;
  readonly preprocessMs: number;
  readonly visionMs: number;
  readonly generateMs: number;
  readonly totalMs: number;
}

export interface ActionPrediction {
  readonly observationStampNs: bigint;
  readonly episode: number;
  readonly chunk: ActionChunk;
  /** 0 … 1: geometric mean probability of the answer's tokens, calibrated where the contract says how. */
  readonly confidence: number;
  /** The confidence before it was calibrated; absent where it was not. */
  readonly uncalibrated?: number;
  readonly timing: Timing;
  /** The model's whole answer, its end included; absent where no model answered. */
  readonly tokens?: readonly number[];
}

/** A numbered mark (Set-of-Mark) at a point of the source image. */
export interface Mark {
  readonly id: number;
  readonly at: Pixel;
}

/** Where one mark is predicted to go: the start point excluded, in source-image pixels, one point per step. */
export interface MarkTrace {
  readonly id: number;
  /** Where the model says the mark is now. */
  readonly start: Pixel;
  readonly future: readonly Pixel[];
}

export interface TracePrediction {
  readonly observationStampNs: bigint;
  readonly episode: number;
  /** Camera the marks were drawn on. */
  readonly camera: string;
  readonly stepPeriodNs: bigint;
  readonly marks: readonly Mark[];
  /** Marks the model says should move; others are expected to rest. */
  readonly traces: readonly MarkTrace[];
  readonly confidence: number;
  readonly timing: Timing;
}

/** Why a policy gave no prediction. Never an exception on the hot path. */
export interface Refusal {
  readonly kind:
    | 'malformedAnswer'
    | 'lowConfidence'
    | 'deadline'
    | 'staleEpisode'
    | 'preempted'
    | 'workerFailed'
    | 'badObservation';
  /** One sentence an operator understands: what was got, what was expected. */
  readonly message: string;
}

export type Answer<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly refusal: Refusal };

// ── Targets, verdicts, commands ─────────────────────────────────────────────────────────────────────────────────────

/** Where the arm should be at this control tick. Not yet safe: only the guard turns it into a command. */
export type ArmTarget =
  | {
      readonly kind: 'joint';
      readonly position: readonly number[];
      readonly gripper: number | null;
    }
  | {
      readonly kind: 'pose';
      readonly pose: Pose;
      readonly frameId: string;
      readonly gripper: number | null;
    }
  | { readonly kind: 'rest'; readonly because: string; readonly gripper: null };

/** Machine-readable code and one operator sentence. Codes are counted; the sentence is logged once. */
export interface Reason {
  readonly code: string;
  readonly message: string;
}

declare const guarded: unique symbol;

/** What may be sent to a robot. Only `safety/guard.ts` makes one; `Robot.send` throws on anything else. */
export type ArmCommand = {
  readonly [guarded]: true;
  readonly nowNs: bigint;
  readonly gripper: number | null;
} & (
  | {
      readonly kind: 'joint';
      readonly names: readonly string[];
      readonly position: readonly number[];
      readonly velocity: readonly number[];
    }
  | {
      readonly kind: 'twist';
      readonly frameId: string;
      readonly linear: Vec3;
      readonly angular: Vec3;
    }
  | {
      readonly kind: 'pose';
      readonly frameId: string;
      readonly pose: Pose;
      readonly linear: Vec3;
      readonly angular: Vec3;
    }
);

/** A halt still carries a command (decelerate or hold), so "no valid value" never exists. */
export type Verdict =
  | { readonly outcome: 'pass'; readonly reasons: readonly []; readonly command: ArmCommand }
  | {
      readonly outcome: 'limited';
      readonly reasons: readonly Reason[];
      readonly command: ArmCommand;
    }
  | { readonly outcome: 'halt'; readonly reasons: readonly Reason[]; readonly command: ArmCommand };
