import { describe, expect, it } from '@jest/globals';
import { JointMerger } from '../../../src/robot/messages/jointMerger.js';
import type { JointMessage } from '../../../src/robot/messages/messages.js';

const message = (
  stampNs: bigint,
  values: Readonly<Record<string, number>>,
  velocity: readonly number[] = [],
): JointMessage => ({
  stampNs,
  names: Object.keys(values),
  position: Object.values(values),
  velocity,
  effort: [],
});

describe('joint merger', () => {
  it('waits until every configured joint was seen, then keeps the configured order', () => {
    const merger = new JointMerger(['a', 'b', 'c']);
    expect(merger.update(message(10n, { c: 3 }), '/j')).toBeNull();
    expect(merger.update(message(12n, { b: 2, other: 9 }), '/j')).toBeNull();
    expect(merger.update(message(11n, { a: 1 }), '/j')).toEqual({
      stampNs: 10n,
      names: ['a', 'b', 'c'],
      position: [1, 2, 3],
      velocity: null,
      effort: null,
    });
  });

  it('carries the oldest stamp among the joints', () => {
    const merger = new JointMerger(['a', 'b']);
    merger.update(message(10n, { a: 1, b: 1 }), '/j');
    expect(merger.update(message(50n, { a: 2 }), '/j')?.stampNs).toBe(10n);
    expect(merger.update(message(40n, { b: 2 }), '/j')?.stampNs).toBe(40n);
  });

  it('ignores values older than what a joint has, and messages of other joints', () => {
    const merger = new JointMerger(['a']);
    merger.update(message(10n, { a: 1 }), '/j');
    expect(merger.update(message(9n, { a: 5 }), '/j')).toBeNull();
    expect(merger.update(message(11n, { gripper: 0.5 }), '/j')).toBeNull();
    expect(merger.update(message(11n, { a: 2 }), '/j')?.position).toEqual([2]);
  });

  it('begins anew where a stamp is 0.5 s older and more: time jumped, or the last stamp was wrong', () => {
    const merger = new JointMerger(['a', 'b']);
    const S = 1_000_000_000n;
    merger.update(message(10n * S, { a: 1, b: 1 }), '/j');
    expect(merger.update(message(10n * S - S / 2n, { a: 5 }), '/j')).toBeNull();
    expect(merger.missing()).toEqual([]);
    expect(() => merger.update(message(5n * S, { a: NaN }), '/j')).toThrow('joint a');
    expect(merger.missing()).toEqual([]);
    expect(merger.update(message(5n * S, { a: 2 }), '/j')).toBeNull();
    expect(merger.missing()).toEqual(['b']);
    expect(merger.update(message(6n * S, { b: 3 }), '/j')).toMatchObject({
      stampNs: 5n * S,
      position: [2, 3],
    });
  });

  it('reports velocity only where every joint does; NaN is not reported', () => {
    const merger = new JointMerger(['a', 'b']);
    expect(merger.update(message(1n, { a: 0, b: 0 }, [1, 2]), '/j')?.velocity).toEqual([1, 2]);
    expect(merger.update(message(2n, { a: 0, b: 0 }, [1, NaN]), '/j')?.velocity).toBeNull();
    expect(merger.update(message(3n, { b: 0 }, [2]), '/j')?.velocity).toEqual([1, 2]);
  });

  it('refuses a position that is not finite, and keeps what it had', () => {
    const merger = new JointMerger(['a', 'b']);
    merger.update(message(1n, { a: 1, b: 2 }), '/j');
    expect(() => merger.update(message(2n, { a: 7, b: NaN }), 'topic /j')).toThrow(
      'topic /j: joint b: got position NaN',
    );
    expect(merger.update(message(3n, { b: 3 }), '/j')?.position).toEqual([1, 3]);
  });

  it('ignores a NaN of a joint that is not configured, and messages without positions', () => {
    const merger = new JointMerger(['a']);
    expect(merger.update(message(1n, { a: 1, spare: NaN }), '/j')?.position).toEqual([1]);
    const empty = { stampNs: 2n, names: ['a'], position: [], velocity: [1], effort: [] };
    expect(merger.update(empty, '/j')).toBeNull();
  });

  it('starts anew after clear', () => {
    const merger = new JointMerger(['a', 'b']);
    merger.update(message(100n, { a: 1, b: 2 }), '/j');
    merger.clear();
    expect(merger.update(message(5n, { a: 3 }), '/j')).toBeNull();
    expect(merger.update(message(6n, { b: 4 }), '/j')?.position).toEqual([3, 4]);
  });
});
