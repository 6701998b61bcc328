/** Seeded trouble for the guard: ways in which clocks, readings, predictions and targets go wrong, and what must follow. */
import type { Random } from '../../src/math/random.js';
import type { GuardInput } from '../../src/safety/guard.js';
import type { ReasonCode } from '../../src/safety/reasons.js';
import type { ArmTarget, EndEffectorReading, JointReading } from '../../src/types.js';
import { MS, S } from './robots.js';

const NASTY = [NaN, Infinity, -Infinity, 1e308, -1e308, 5e-324, -0] as const;

/** What is around the arm may object to its motion in these words. */
const OUTSIDE = [
  'clockJump',
  'clockSilent',
  'commandRefused',
  'controlFailed',
  'notEnabled',
  'operatorStop',
  'outputGone',
] as const satisfies readonly ReasonCode[];

/** A trouble changes an input and names the reason that must be among the verdict's; null: any verdict will do. */
export interface Trouble {
  readonly input: GuardInput;
  readonly expected: ReasonCode | null;
}

type Maker = (input: GuardInput, random: Random) => Trouble;

/** What happens to joint and Cartesian guards alike. */
const COMMON: readonly Maker[] = [
  (input) => ({
    input: { ...input, prediction: { observationStampNs: input.stampNs, confidence: NaN } },
    expected: 'predictionInvalid',
  }),
  (input, random) => ({
    input: {
      ...input,
      prediction: { observationStampNs: input.stampNs, confidence: random.between(0, 0.49) },
    },
    expected: 'lowConfidence',
  }),
  (input, random) => ({
    input: {
      ...input,
      prediction: {
        observationStampNs: input.stampNs,
        confidence: random.between(0.5, 0.69),
        tokens: [],
      },
    },
    expected: 'unsure',
  }),
  (input, random) => ({
    input: {
      ...input,
      prediction: {
        observationStampNs: input.stampNs - BigInt(random.integer(1000)) * MS - 801n * MS,
        confidence: 1,
      },
    },
    expected: 'observationStale',
  }),
  (input) => ({
    input: {
      ...input,
      prediction: { observationStampNs: input.stampNs + 51n * MS, confidence: 1 },
    },
    expected: 'futureStamp',
  }),
  (input, random) => ({
    input: { ...input, target: { ...input.target, gripper: random.pick(NASTY) } as ArmTarget },
    expected: null,
  }),
  (input) => ({
    input: { ...input, target: { kind: 'rest', because: 'a test', gripper: null } },
    expected: 'rest',
  }),
  (input) => ({ input: { ...input, prediction: null }, expected: null }),
  (input, random) => {
    const code = random.pick(OUTSIDE);
    return { input: { ...input, holds: [{ code, message: 'Somebody says so.' }] }, expected: code };
  },
];

const withJoints = (input: GuardInput, change: Partial<JointReading>): GuardInput => ({
  ...input,
  joints: { ...input.joints!, ...change },
});

const withTarget = (input: GuardInput, position: readonly number[]): GuardInput => ({
  ...input,
  target: { kind: 'joint', position, gripper: 0.5 },
});

const replaced = (values: readonly number[], random: Random, value: number): readonly number[] => {
  const copy = [...values];
  copy[random.integer(copy.length)] = value;
  return copy;
};

const positionOf = ({ target }: GuardInput): readonly number[] =>
  target.kind === 'joint' ? target.position : [];

const JOINT: readonly Maker[] = [
  ...COMMON,
  (input, random) => {
    const value = random.pick(NASTY);
    return {
      input: withTarget(input, replaced(positionOf(input), random, value)),
      expected: Number.isFinite(value) ? null : 'targetInvalid',
    };
  },
  (input, random) => ({
    input: withTarget(input, positionOf(input).slice(0, random.integer(2))),
    expected: 'targetInvalid',
  }),
  (input) => ({
    input: withTarget(input, [...positionOf(input), 0]),
    expected: 'targetInvalid',
  }),
  (input) => ({
    input: {
      ...input,
      target: {
        kind: 'pose',
        pose: { translation: [0, 0, 0], rotation: [0, 0, 0, 1] },
        frameId: 'base',
        gripper: null,
      },
    },
    expected: 'targetInvalid',
  }),
  (input) => ({
    input: withTarget(
      input,
      positionOf(input).map((value) => -value),
    ),
    expected: null,
  }),
  (input, random) => {
    const value = random.pick([NaN, Infinity, -Infinity, 1e308]);
    return {
      input: withJoints(input, { position: replaced(input.joints!.position, random, value) }),
      expected: 'measurementInvalid',
    };
  },
  (input, random) => ({
    input: withJoints(input, {
      position: input.joints!.position.map((value) => value + random.pick([-1, 1]) * 50),
    }),
    expected: 'trackingError',
  }),
  (input) => ({
    input: withJoints(input, { names: [], position: [] }),
    expected: 'measurementInvalid',
  }),
  (input) => ({
    input: withJoints(input, { position: input.joints!.position.slice(1) }),
    expected: 'measurementInvalid',
  }),
  (input, random) => ({
    input: withJoints(input, { effort: input.joints!.names.map(() => random.pick([200, -200])) }),
    expected: 'effortLimit',
  }),
  (input) => ({
    input: withJoints(input, { effort: input.joints!.names.map(() => NaN) }),
    expected: 'measurementInvalid',
  }),
  (input) => ({
    input: { ...input, joints: null, jointsReceivedNs: null },
    expected: 'measurementMissing',
  }),
  (input) => ({
    input: { ...input, jointsReceivedNs: input.nowNs - 101n * MS },
    expected: 'measurementStale',
  }),
  (input) => ({
    input: withJoints(input, { stampNs: input.stampNs - 101n * MS }),
    expected: 'measurementStale',
  }),
  (input) => ({
    input: withJoints(input, { stampNs: input.stampNs + 51n * MS }),
    expected: 'futureStamp',
  }),
  (input) => ({
    input: { ...input, jointsReceivedNs: input.nowNs + 1n },
    expected: 'futureStamp',
  }),
];

const withPose = (input: GuardInput, change: Partial<EndEffectorReading>): GuardInput => ({
  ...input,
  endEffector: { ...input.endEffector!, ...change },
});

const withPoseTarget = (
  input: GuardInput,
  translation: readonly number[],
  rotation: readonly number[],
  frameId = 'base',
): GuardInput => ({
  ...input,
  target: {
    kind: 'pose',
    pose: { translation, rotation } as unknown as EndEffectorReading['pose'],
    frameId,
    gripper: NaN,
  },
});

const CARTESIAN: readonly Maker[] = [
  ...COMMON,
  (input, random) => {
    const value = random.pick([NaN, Infinity, -Infinity, 1e308]);
    return {
      input: withPoseTarget(input, replaced([0, 0, 0], random, value), [0, 0, 0, 1]),
      expected: 'targetInvalid',
    };
  },
  (input, random) => {
    const value = random.pick([NaN, Infinity, 2, 1e308]);
    return {
      input: withPoseTarget(input, [0, 0, 0], replaced([0, 0, 0, 1], random, value)),
      expected: 'targetInvalid',
    };
  },
  (input) => ({
    input: withPoseTarget(input, [0, 0, 0], [0, 0, 0, 0]),
    expected: 'targetInvalid',
  }),
  (input) => ({ input: withPoseTarget(input, [], []), expected: 'targetInvalid' }),
  (input) => ({
    input: withPoseTarget(input, [0, 0, 0], [0, 0, 0, 1], 'camera'),
    expected: 'targetInvalid',
  }),
  (input) => ({
    input: { ...input, target: { kind: 'joint', position: [0, 0], gripper: null } },
    expected: 'targetInvalid',
  }),
  (input) => ({
    input: { ...input, endEffector: null },
    expected: 'measurementMissing',
  }),
  (input) => ({
    input: { ...input, endEffectorReceivedNs: input.nowNs - S },
    expected: 'measurementStale',
  }),
  (input) => ({
    input: withPose(input, { stampNs: input.stampNs - 101n * MS }),
    expected: 'measurementStale',
  }),
  (input) => ({
    input: withPose(input, { stampNs: input.stampNs + S }),
    expected: 'futureStamp',
  }),
  (input, random) => ({
    input: withPose(input, {
      pose: {
        translation: [random.pick([NaN, Infinity, 1e300]), 0, 0],
        rotation: [0, 0, 0, 1],
      },
    }),
    expected: 'measurementInvalid',
  }),
  (input) => ({
    input: withPose(input, { pose: { translation: [50, 0, 0], rotation: [0, 0, 0, 1] } }),
    expected: 'trackingError',
  }),
  (input) => ({ input: withPose(input, { frameId: 'map' }), expected: 'measurementInvalid' }),
];

export function troubleJoints(input: GuardInput, random: Random): Trouble {
  return random.pick(JOINT)(input, random);
}

export function troubleCartesian(input: GuardInput, random: Random): Trouble {
  return random.pick(CARTESIAN)(input, random);
}

/** The next tick of two clocks that are mostly regular. `watchdog` is 100 ms. */
export class Clocks {
  nowNs = 1000n * S;
  stampNs = 5_000_000n * S;
  private readonly random: Random;
  private readonly manner: 'regular' | 'jitter' | 'wild';

  constructor(random: Random, manner: 'regular' | 'jitter' | 'wild') {
    this.random = random;
    this.manner = manner;
  }

  /** @returns what must be among the reasons for it. */
  tick(): ReasonCode | null {
    const { random } = this;
    if (this.manner === 'wild' && random.uniform() < 0.01) return this.jump();
    let step = 20n * MS;
    if (this.manner === 'jitter') step = BigInt(random.integer(60_000_000)) + 1n;
    if (this.manner === 'wild')
      step = random.pick([0n, 1n, 1000n, MS, 20n * MS, 99n * MS, 100n * MS]);
    this.nowNs += step;
    this.stampNs += step;
    return null;
  }

  private jump(): ReasonCode {
    const { random } = this;
    const far = BigInt(1 + random.integer(1_000_000)) * MS;
    switch (random.integer(3)) {
      case 0:
        this.nowNs -= far;
        this.stampNs += 20n * MS;
        return 'steadyClockBackwards';
      case 1:
        this.nowNs += 20n * MS;
        this.stampNs -= far;
        return 'stampBackwards';
      default:
        this.nowNs += 100n * MS + far;
        this.stampNs += 100n * MS + far;
        return 'tickGap';
    }
  }
}
