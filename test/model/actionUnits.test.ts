import { describe, expect, it } from '@jest/globals';
import {
  actionDecodingFor,
  chunkFromIds,
  deltaFromValues,
  idsFromDeltas,
  normalise,
  unnormalise,
  valuesFromDelta,
} from '../../src/model/actionUnits.js';
import { decodeAction } from '../../src/model/actionTokens.js';
import { readContract } from '../../src/model/contract.js';

const magma = readContract('test/golden/magma8b');
const nano = readContract('models/nano');
const widowx = { robot: 'widowx250', baseFrame: 'base_link' };
const endId = 128009;
const answer = [127857, 127873, 127868, 127904, 127861, 127874, 127744, endId];

describe('un-normalising', () => {
  it("turns the golden answer into the numbers of Magma's reference code, with bridge statistics", () => {
    const decoded = decodeAction(answer, magma.answers.action, endId);
    if (!decoded.ok) throw new Error(decoded.refusal.message);
    const { statistics } = actionDecodingFor(magma, widowx, endId);
    const si = unnormalise(decoded.value[0]!, statistics).map((x) => Number(x.toFixed(6)));
    expect(si).toEqual([0.003146, -0.000748, 0.008073, -0.019935, -0.000111, -0.004902, 0.996078]);
  });

  it('leaves a masked dimension raw and is undone by normalising', () => {
    const statistics = { q01: [-0.05, 0], q99: [0.15, 9], mask: [true, false] };
    expect(normalise([0.05, 0.7], statistics)).toEqual([0, 0.7]);
    expect(unnormalise([-1, 0.7], statistics)).toEqual([-0.05, 0.7]);
    expect(unnormalise(normalise([0.123, 0.2], statistics), statistics)[0]).toBeCloseTo(0.123, 15);
  });

  it('gives the one known value where a dataset never varied', () => {
    const statistics = { q01: [0.3], q99: [0.3], mask: [true] };
    expect(normalise([0.3], statistics)).toEqual([0]);
    expect(unnormalise([0.8], statistics)).toEqual([0.3]);
  });
});

describe('one step', () => {
  const { action } = nano.answers;

  it('turns roll, pitch, yaw about fixed axes into a rotation vector', () => {
    // roll π/2 then yaw π/2 is a third of a turn about (1, 1, 1).
    const delta = deltaFromValues([0.01, 0.02, 0.03, Math.PI / 2, 0, Math.PI / 2, 1], action);
    const component = (2 * Math.PI) / 3 / Math.sqrt(3);
    expect(delta.translation).toEqual([0.01, 0.02, 0.03]);
    delta.rotation.forEach((x) => expect(x).toBeCloseTo(component, 12));
    expect(delta.gripper).toBe(1);
  });

  it('is undone in every dimension', () => {
    const values = [0.01, -0.02, 0.03, 0.2, -0.1, 0.24, 0.75];
    const back = valuesFromDelta(deltaFromValues(values, action), action);
    back.forEach((value, index) => expect(value).toBeCloseTo(values[index]!, 14));
  });

  it('takes a rotation vector as it is', () => {
    const vector = { ...action, rotation: 'rotationVector' } as const;
    const delta = deltaFromValues([0, 0, 0, 0.1, 0.2, 0.3, 0], vector);
    expect(delta.rotation).toEqual([0.1, 0.2, 0.3]);
    expect(valuesFromDelta(delta, vector).slice(3, 6)).toEqual([0.1, 0.2, 0.3]);
  });

  it('follows the gripper convention and clips to 0 … 1', () => {
    const signed = { ...action, gripper: { open: -1, closed: 1 } };
    const openings = [-1, 0, 1, 3].map(
      (raw) => deltaFromValues([0, 0, 0, 0, 0, 0, raw], signed).gripper,
    );
    expect(openings).toEqual([1, 0.5, 0, 0]);
    const opened = { translation: [0, 0, 0], rotation: [0, 0, 0], gripper: 1 } as const;
    expect(valuesFromDelta(opened, signed)[6]).toBe(-1);
  });

  it('without rotation dimensions does not rotate', () => {
    const planar = { ...action, dims: ['gripper', 'x', 'y', 'z'] as const };
    expect(deltaFromValues([1, 0.1, 0.2, 0.3], planar)).toEqual({
      translation: [0.1, 0.2, 0.3],
      rotation: [0, 0, 0],
      gripper: 1,
    });
  });
});

describe('a chunk', () => {
  it("carries the contract's period, reference and composition, and the robot's frame", () => {
    const decoding = actionDecodingFor(magma, { robot: 'widowx250', baseFrame: 'arm' }, endId);
    const chunk = chunkFromIds(answer, decoding);
    expect(chunk).toMatchObject({
      ok: true,
      value: {
        kind: 'endEffectorDelta',
        stepPeriodNs: 200_000_000n,
        frameId: 'arm',
        reference: 'lastTarget',
        composition: 'base',
      },
    });
    expect(chunk.ok && chunk.value.steps).toHaveLength(1);
  });

  it('goes to ids and back within half a bin in every dimension', () => {
    const decoding = actionDecodingFor(nano, { robot: 'sim', baseFrame: 'base_link' }, 1009);
    const step = {
      translation: [0.031, -0.0499, 0.002],
      rotation: [0, 0, 0.21],
      gripper: 1,
    } as const;
    const ids = idsFromDeltas([step], decoding);
    expect(ids).toHaveLength(8);
    const chunk = chunkFromIds(ids, decoding);
    if (!chunk.ok || chunk.value.kind !== 'endEffectorDelta') throw new Error('no chunk');
    const back = chunk.value.steps[0]!;
    // Half a bin: 0.05 m / 255 and 0.25 rad / 255; raw gripper 1 / 255.
    back.translation.forEach((x, i) =>
      expect(Math.abs(x - step.translation[i]!)).toBeLessThanOrEqual(0.05 / 255 + 1e-12),
    );
    // rpy bins are small: to first order each component of the vector is off by half a bin.
    back.rotation.forEach((x, i) =>
      expect(Math.abs(x - step.rotation[i]!)).toBeLessThanOrEqual((0.25 / 255) * 1.2),
    );
    expect(Math.abs(back.gripper - 1)).toBeLessThanOrEqual(1 / 255);
  });

  it('is refused where the answer is', () => {
    const decoding = actionDecodingFor(magma, widowx, endId);
    expect(chunkFromIds([endId], decoding)).toMatchObject({
      ok: false,
      refusal: { kind: 'malformedAnswer' },
    });
  });
});

describe('the statistics of a robot', () => {
  it('are those it was trained with, else the default, else the ones asked for', () => {
    const of = (robot: string, key?: string) =>
      actionDecodingFor(magma, { robot, baseFrame: 'base_link' }, endId, key).statistics;
    expect(of('google_robot')).toBe(magma.statistics['google_robot']);
    expect(of('unknown')).toBe(magma.statistics['bridge_orig']);
    expect(of('widowx250', 'google_robot')).toBe(magma.statistics['google_robot']);
  });

  it('are refused by name', () => {
    expect(() => actionDecodingFor(magma, widowx, endId, 'libero')).toThrow(
      /statistics of Magma-8B: got "libero", expected one of bridge_orig, google_robot/,
    );
    expect(() => actionDecodingFor(magma, widowx, endId, 'constructor')).toThrow(/"constructor"/);
  });
});
