import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import * as pose from '../../../src/math/pose.js';
import * as quaternion from '../../../src/math/quaternion.js';
import { type FrameTransform, TfBuffer } from '../../../src/robot/ros/tfBuffer.js';
import { compareWithTf, disagreementWithTf } from '../../../src/robot/ros/tfListener.js';
import { armFromUrdf, forward } from '../../../src/arm/kinematics.js';
import { parseUrdf } from '../../../src/arm/urdf.js';
import type { Pose, Quaternion, Vec3 } from '../../../src/types.js';
import { armUrdf } from '../../support/testArms.js';

const S = 1_000_000_000n;

const at = (translation: Vec3, rotation: Quaternion = quaternion.identity): Pose => ({
  translation,
  rotation,
});
const edge = (
  parent: string,
  child: string,
  stampNs: bigint,
  parentFromChild: Pose = at([1, 0, 0]),
): FrameTransform => ({ parent, child, stampNs, parentFromChild });

type Row = readonly [string, string, ...(string | number | boolean)[]];
const golden = JSON.parse(readFileSync('test/golden/tf2.json', 'utf8')) as {
  readonly transforms: readonly Row[];
  readonly lookups: readonly Row[];
};
const isIsland = (frame: string): boolean => frame === 'island' || frame === 'hut';
const poseFrom = (numbers: readonly unknown[]): Pose => {
  const [x, y, z, ...q] = numbers as number[];
  return at([x!, y!, z!], q as unknown as Quaternion);
};

describe('against tf2 itself (test/oracle/tf2.cpp)', () => {
  const buffer = new TfBuffer();
  for (const [parent, child, isStatic, stamp, ...numbers] of golden.transforms) {
    const transform = edge(parent, child, BigInt(stamp as string), poseFrom(numbers));
    if (isStatic === true) buffer.addStatic(transform);
    else buffer.addDynamic(transform);
  }

  test('400 look-ups give its poses, stamps and refusals', () => {
    golden.lookups.forEach(checkLookup);
  });

  function checkLookup([target, source, asked, answer, ...numbers]: Row): void {
    const stampNs = BigInt(asked!);
    const found = buffer.lookup(target, source, stampNs === 0n ? 'latest' : stampNs);
    if (target === 'nowhere' && source === 'nowhere') {
      // tf2: the identity. Ours: a name that no transform has is a mistake.
      expect(found).toMatchObject({ ok: false, code: 'unknownFrame' });
      return;
    }
    if (numbers.length === 0) {
      // tf2 looks at stamps first; ours says first that there are two trees.
      const apart = isIsland(target) !== isIsland(source) && answer !== 'unknownFrame';
      expect(found).toMatchObject({ ok: false, code: apart ? 'notConnected' : answer });
      return;
    }
    if (!found.ok) throw new Error(found.message);
    const expected = poseFrom(numbers);
    const { translation, rotation } = found.targetFromSource;
    translation.forEach((x, i) => expect(x).toBeCloseTo(expected.translation[i]!, 9));
    expect(quaternion.angleBetween(rotation, expected.rotation)).toBeLessThan(1e-9);
    if (found.stampNs !== null) expect(found.stampNs).toBe(BigInt(answer!));
  }

  test('the golden data hold every kind of answer', () => {
    const kinds = golden.lookups.map((row) => (row.length === 4 ? row[3] : 'pose'));
    for (const kind of ['pose', 'past', 'future', 'notConnected', 'unknownFrame'])
      expect(kinds.filter((k) => k === kind).length).toBeGreaterThan(5);
  });
});

describe('between two samples', () => {
  const quarter = quaternion.fromAxisAngle([0, 0, 1], Math.PI / 2);
  const buffer = new TfBuffer();
  buffer.addDynamic(edge('base', 'tool', 10n * S, at([0, 0, 0])));
  buffer.addDynamic(edge('base', 'tool', 11n * S, at([4, 0, 0], quarter)));

  test('a quarter of the way is a quarter of the line and of the angle', () => {
    const found = buffer.lookup('base', 'tool', 10n * S + S / 4n);
    if (!found.ok) throw new Error(found.message);
    expect(found.targetFromSource.translation[0]).toBeCloseTo(1, 12);
    expect(
      quaternion.angleBetween(quaternion.identity, found.targetFromSource.rotation),
    ).toBeCloseTo(Math.PI / 8, 12);
  });

  test('the other direction is the inverse', () => {
    const [there, back] = [
      buffer.lookup('base', 'tool', 10n * S + 1n),
      buffer.lookup('tool', 'base', 10n * S + 1n),
    ];
    if (!there.ok || !back.ok) throw new Error('expected both');
    const both = pose.compose(there.targetFromSource, back.targetFromSource);
    expect(Math.hypot(...both.translation)).toBeLessThan(1e-12);
  });

  test('a stamp outside says by how much, and is not extrapolated to', () => {
    expect(buffer.lookup('base', 'tool', 11n * S + 20_000_000n)).toEqual({
      ok: false,
      code: 'future',
      message: 'tool: asked 0.020 s after its newest transform',
      byNs: 20_000_000n,
    });
    expect(buffer.lookup('base', 'tool', 9n * S)).toMatchObject({ code: 'past', byNs: S });
  });

  test('samples that come out of order are put in order', () => {
    const late = new TfBuffer();
    late.addDynamic(edge('base', 'tool', 10n * S, at([0, 0, 0])));
    late.addDynamic(edge('base', 'tool', 12n * S, at([2, 0, 0])));
    late.addDynamic(edge('base', 'tool', 11n * S, at([5, 0, 0])));
    expect(late.lookup('base', 'tool', 11n * S)).toMatchObject({
      targetFromSource: { translation: [5, 0, 0] },
    });
  });
});

describe('what is refused', () => {
  test('a loop', () => {
    const buffer = new TfBuffer();
    expect(buffer.addStatic(edge('a', 'b', 0n))).toBeNull();
    expect(buffer.addStatic(edge('b', 'c', 0n))).toBeNull();
    expect(buffer.addDynamic(edge('c', 'a', S))).toContain('descendant');
    expect(buffer.addStatic(edge('a', 'a', 0n))).toContain('own parent');
    // The tree stands as it was.
    expect(buffer.lookup('a', 'c', 5n)).toMatchObject({ ok: true, stampNs: null });
  });

  test.each([
    ['a NaN', at([NaN, 0, 0]), 'finite'],
    ['an infinity', at([0, Infinity, 0]), 'finite'],
    ['a quaternion of length 0', at([0, 0, 0], [0, 0, 0, 0]), 'unit quaternion'],
    ['a NaN quaternion', at([0, 0, 0], [NaN, 0, 0, 1]), 'unit quaternion'],
    ['a quaternion that is far from unit', at([0, 0, 0], [0, 0, 0, 1.5]), 'unit quaternion'],
  ])('%s', (_, parentFromChild, why) => {
    const buffer = new TfBuffer();
    expect(buffer.addDynamic(edge('a', 'b', S, parentFromChild))).toContain(why);
    expect(buffer.addStatic(edge('a', 'b', S, parentFromChild))).toContain(why);
    expect(buffer.frames.size).toBe(0);
  });

  test('names that are empty; a leading slash is not part of a name', () => {
    const buffer = new TfBuffer();
    expect(buffer.addStatic(edge('', 'b', 0n))).toContain('no frame name');
    expect(buffer.addStatic(edge('a', '', 0n))).toContain('no frame name');
    expect(buffer.addStatic(edge('/a', '/b', 0n))).toBeNull();
    expect(buffer.lookup('a', '/b', 0n).ok).toBe(true);
  });

  test('a sample older than the history', () => {
    const buffer = new TfBuffer({ historyNs: S });
    buffer.addDynamic(edge('a', 'b', 10n * S));
    expect(buffer.addDynamic(edge('a', 'b', 8n * S))).toContain('2.000 s before its newest');
    expect(buffer.addDynamic(edge('a', 'b', 9n * S))).toBeNull();
  });
});

describe('memory', () => {
  test('is bounded in time, samples and frames', () => {
    const buffer = new TfBuffer();
    for (let ms = 0n; ms < 30_000n; ms++) buffer.addDynamic(edge('a', 'b', S + ms * 1_000_000n));
    // 10 s at 1 kHz are 10 000 samples; 8192 are kept: the oldest is 8.191 s before the newest.
    expect(buffer.lookup('a', 'b', 30_999_000_000n - 8_191_000_000n).ok).toBe(true);
    expect(buffer.lookup('a', 'b', 30_999_000_000n - 8_192_000_000n)).toMatchObject({
      code: 'past',
    });
    for (let i = 0; i < 5000; i++) buffer.addStatic(edge('root', `frame${i}`, 0n));
    expect(buffer.frames.size).toBeLessThan(4100);
  });

  test('a clock jump forgets what moves and keeps what is fixed', () => {
    const buffer = new TfBuffer();
    buffer.addStatic(edge('world', 'base', 0n));
    buffer.addDynamic(edge('base', 'tool', 50n * S));
    buffer.clear();
    expect(buffer.lookup('world', 'base', 1n).ok).toBe(true);
    expect(buffer.lookup('world', 'tool', 50n * S)).toMatchObject({ code: 'unknownFrame' });
    // An earlier time than before begins anew.
    expect(buffer.addDynamic(edge('base', 'tool', 2n * S))).toBeNull();
    expect(buffer.lookup('world', 'tool', 2n * S).ok).toBe(true);
  });

  test('a frame that changes its parent begins a new history', () => {
    const buffer = new TfBuffer();
    buffer.addDynamic(edge('table', 'block', S));
    buffer.addDynamic(edge('gripper', 'block', 2n * S));
    expect(buffer.lookup('gripper', 'block', S + S / 2n)).toMatchObject({ code: 'past' });
    expect(buffer.lookup('gripper', 'block', 2n * S).ok).toBe(true);
  });
});

describe('the tool by tf against forward kinematics', () => {
  const arm = armFromUrdf(parseUrdf(armUrdf(7), 'arm.urdf'), { baseLink: 'base', tipLink: 'tip' });
  const position = arm.jointNames.map((_, i) => 0.3 * (i + 1));
  const joints = {
    stampNs: 5n * S,
    // In another order than the arm's.
    names: [...arm.jointNames].reverse(),
    position: [...position].reverse(),
    velocity: null,
    effort: null,
  };

  test('agrees where tf was made from the same joints', () => {
    const buffer = new TfBuffer();
    buffer.addDynamic(edge(arm.baseLink, arm.tipLink, 5n * S, forward(arm, position)));
    const found = compareWithTf(buffer, arm, joints);
    if (!found.ok) throw new Error(found.problem);
    expect(found.translation).toBeLessThan(1e-12);
    expect(found.rotation).toBeLessThan(1e-7);
  });

  test('measures how far they are apart', () => {
    const buffer = new TfBuffer();
    const { translation, rotation } = forward(arm, position);
    const off = at(
      [translation[0] + 0.03, translation[1], translation[2] + 0.04],
      quaternion.multiply(rotation, quaternion.fromAxisAngle([0, 1, 0], 0.2)),
    );
    buffer.addDynamic(edge(arm.baseLink, arm.tipLink, 5n * S, off));
    const found = compareWithTf(buffer, arm, joints);
    if (!found.ok) throw new Error(found.problem);
    expect(found.translation).toBeCloseTo(0.05, 12);
    expect(found.rotation).toBeCloseTo(0.2, 9);
  });

  test('takes tf that is a little older for an arm that reports rest, and only then', () => {
    const buffer = new TfBuffer();
    buffer.addDynamic(edge(arm.baseLink, arm.tipLink, 5n * S - S / 10n, forward(arm, position)));
    const resting = { ...joints, velocity: joints.names.map(() => 0.001) };
    const moving = { ...joints, velocity: joints.names.map((_, i) => (i === 3 ? 0.2 : 0)) };
    expect(compareWithTf(buffer, arm, resting)).toMatchObject({ ok: true });
    expect(compareWithTf(buffer, arm, moving)).toMatchObject({ ok: false });
    expect(compareWithTf(buffer, arm, joints)).toMatchObject({ ok: false });
    expect(compareWithTf(buffer, arm, { ...resting, stampNs: 6n * S })).toMatchObject({
      ok: false,
    });
  });

  test('says what is missing', () => {
    const buffer = new TfBuffer();
    expect(compareWithTf(buffer, arm, joints)).toMatchObject({ ok: false });
    const lacking = { ...joints, names: joints.names.slice(1), position: joints.position.slice(1) };
    expect(compareWithTf(buffer, arm, lacking)).toEqual({
      ok: false,
      problem: `the joint reading lacks ${arm.jointNames.at(-1)!}`,
    });
  });
});

describe('what is told of a disagreement at activation', () => {
  const arm = armFromUrdf(parseUrdf(armUrdf(5), 'arm.urdf'), { baseLink: 'base', tipLink: 'tip' });
  const position = [0.1, -0.2, 0.3, 0.4, 0.5];
  const joints = {
    ...{ stampNs: 5n * S, names: arm.jointNames, position },
    ...{ velocity: null, effort: null },
  };
  const shifted = (by: number): TfBuffer => {
    const buffer = new TfBuffer();
    const { translation, rotation } = forward(arm, position);
    const moved = at([translation[0] + by, translation[1], translation[2]], rotation);
    buffer.addDynamic(edge('base', 'tip', 5n * S, moved));
    return buffer;
  };

  test('nothing, where they agree to a millimetre or tf says nothing', () => {
    expect(disagreementWithTf(shifted(0.001), arm, joints)).toBeNull();
    expect(disagreementWithTf(new TfBuffer(), arm, joints)).toBeNull();
    expect(disagreementWithTf(shifted(0.5), arm, null)).toBeNull();
  });

  test('how far, and where to look, otherwise', () => {
    expect(disagreementWithTf(shifted(0.02), arm, joints)).toBe(
      'tf puts tip 0.0200 m and 0.000 rad from where forward kinematics from base puts it: check description (urdf, baseLink, tipLink) in robot.yaml against robot_state_publisher',
    );
  });
});
