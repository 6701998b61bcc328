import { describe, expect, it } from '@jest/globals';
import { History } from '../../src/control/history.js';

const at = (stampNs: bigint) => ({ stampNs });

describe('A history of readings', () => {
  it('gives the reading nearest to a stamp, the newer one of two as near', () => {
    const history = new History<{ readonly stampNs: bigint }>();
    for (const stamp of [100n, 120n, 140n]) history.add(at(stamp));
    expect(history.at(0n)).toEqual(at(100n));
    expect(history.at(109n)).toEqual(at(100n));
    expect(history.at(110n)).toEqual(at(120n));
    expect(history.at(999n)).toEqual(at(140n));
  });

  it('gives nothing before the first reading and after it was cleared', () => {
    const history = new History<{ readonly stampNs: bigint }>();
    expect(history.at(1n)).toBeNull();
    history.add(at(1n));
    history.clear();
    expect(history.at(1n)).toBeNull();
  });

  it('forgets what is more than a second older than the newest', () => {
    const history = new History<{ readonly stampNs: bigint }>();
    for (let i = 0n; i <= 3000n; i++) history.add(at(i * 1_000_000n));
    expect(history.at(0n)).toEqual(at(2_000_000_000n));
  });
});
