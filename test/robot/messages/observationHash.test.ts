import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import {
  hashedAside,
  hashedFrom,
  observationHash,
  seenFrom,
} from '../../../src/robot/messages/observationHash.js';
import type { CameraImage, Observation } from '../../../src/types.js';

const front: CameraImage = {
  ...{ kind: 'raw', stampNs: 258n, frameId: 'f', height: 1, width: 2, encoding: 'mono8' },
  ...{ step: 3, isBigEndian: false, data: Uint8Array.of(7, 8, 9) },
};
const wrist: CameraImage = {
  ...{ kind: 'compressed', stampNs: 1n, frameId: 'w', format: 'jpeg', data: Uint8Array.of(1) },
};
const observation: Observation = {
  ...{ stampNs: 258n, episode: 3, instruction: 'ä' },
  images: { wrist, front },
  joints: { stampNs: 5n, names: ['a', 'b'], position: [1, 2], velocity: [3, 4], effort: null },
  endEffector: {
    ...{ stampNs: 5n, frameId: 'base' },
    pose: { translation: [1, 2, 3], rotation: [0, 0, 0, 1] },
  },
  gripper: { stampNs: 6n, opening: 0.5 },
};

describe('the hash of an observation', () => {
  it('has the layout that the file describes, written here once more by hand', () => {
    const u32 = (n: number): number[] => [n, 0, 0, 0];
    const picture = Uint8Array.from([
      ...[1, 2, 1, 0, 0, 0, 0, 0, 0], // raw, stamp 258 = 0x0102
      ...[...u32(1), 102], // "f"
      ...[...u32(1), ...u32(2)], // height, width
      ...[...u32(5), 109, 111, 110, 111, 56], // "mono8"
      ...[...u32(3), 0], // step, isBigEndian
      ...[...u32(3), 7, 8, 9],
    ]);
    // 0.5 is 0x3FE0000000000000.
    const grip = Uint8Array.from([5, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xe0, 0x3f]);
    const sha = (bytes: Uint8Array): number[] => [...createHash('sha256').update(bytes).digest()];
    const whole = Uint8Array.from([
      ...[...u32(23), ...Buffer.from('magma_vla observation 1')],
      ...[2, 1, 0, 0, 0, 0, 0, 0],
      ...[...u32(2), 0xc3, 0xa4], // "ä"
      ...u32(2),
      ...[...u32(5), ...Buffer.from('front'), ...sha(picture)],
      ...[...u32(7), ...Buffer.from('gripper'), ...sha(grip)],
    ]);
    const seen = hashedFrom({ ...observation, images: { front }, joints: null, endEffector: null });
    expect([...seen.sha256!]).toEqual(sha(whole));
    expect(seen.inputs.map(({ sha256 }) => [...sha256!])).toEqual([sha(picture), sha(grip)]);
  });

  it('names every input with its stamp, cameras by name first', () => {
    const expected = [
      ['front', 258n],
      ['wrist', 1n],
      ['joints', 5n],
      ['end_effector', 5n],
      ['gripper', 6n],
    ];
    expect(hashedFrom(observation).inputs.map((i) => [i.name, i.stampNs])).toEqual(expected);
    expect(seenFrom(observation).inputs.map((i) => [i.name, i.stampNs])).toEqual(expected);
    expect(seenFrom(observation).sha256).toBeNull();
  });

  it('is the same when taken on another thread', async () => {
    expect(await hashedAside(observation)).toEqual(hashedFrom(observation));
  });

  it('is the same for another episode, another buffer and another order of cameras', () => {
    const data = Uint8Array.of(0, 7, 8, 9, 0).subarray(1, 4);
    const images = { front: { ...front, data }, wrist };
    const same = { ...observation, episode: 9, images };
    expect(observationHash(same)).toEqual(observationHash(observation));
  });

  it('differs where anything else does, and so does exactly the input that it is part of', () => {
    const { joints, endEffector, gripper } = observation;
    const pose = { translation: [1, 2, 3], rotation: [0, 0, 1, 0] } as const;
    const others: readonly (readonly [string, Partial<Observation>])[] = [
      ['front', { images: { wrist, front: { ...front, data: Uint8Array.of(7, 8, 8) } } }],
      ['front', { images: { wrist, front: { ...front, encoding: '8UC1' } } }],
      ['front', { images: { wrist, front: { ...front, isBigEndian: true } } }],
      ['wrist', { images: { front, wrist: { ...wrist, format: 'png' } } }],
      ['joints', { joints: { ...joints!, position: [1, -0] } }],
      ['joints', { joints: { ...joints!, velocity: null } }],
      ['joints', { joints: { ...joints!, velocity: null, effort: [3, 4] } }],
      ['joints', { joints: { ...joints!, names: ['b', 'a'] } }],
      ['end_effector', { endEffector: { ...endEffector!, pose } }],
      ['gripper', { gripper: { ...gripper!, opening: 0.5000000000000001 } }],
      ['', { stampNs: 259n }],
      ['', { instruction: 'a' }],
    ];
    const { inputs, sha256 } = hashedFrom(observation);
    for (const [name, change] of others) {
      const other = hashedFrom({ ...observation, ...change });
      expect(other.sha256).not.toEqual(sha256);
      const differing = other.inputs.filter((input, i) => hex(input) !== hex(inputs[i]!));
      expect(differing.map((input) => input.name)).toEqual(name === '' ? [] : [name]);
    }
    expect(observationHash({ ...observation, gripper: null })).not.toEqual(sha256);
  });
});

function hex({ sha256 }: { readonly sha256: Uint8Array | null }): string {
  return Buffer.from(sha256!).toString('hex');
}
