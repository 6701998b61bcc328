/** When an arm rests: what it reports has not changed, by readings that came later. */
import { expect, it } from '@jest/globals';
import type { Tick } from '../../src/control/loop.js';
import { Settled } from '../../src/control/session.js';

const MS = 1_000_000n;

/** A tick at `ms` for which the arm last reported `position` with the stamp and the receipt `reported`, ms. */
const tick = (reported: bigint, position = 0.3): Tick =>
  ({
    sent: true,
    measured: {
      joints: {
        ...{ stampNs: reported * MS, names: ['a'], position: [position] },
        ...{ velocity: null, effort: null },
      },
      ...{ jointsReceivedNs: reported * MS, endEffector: null, endEffectorReceivedNs: null },
    },
  }) as unknown as Tick;
const at = (ms: bigint) => ({ nowNs: ms * MS, stampNs: ms * MS });

it('readings every 20 ms: after 150 ms', () => {
  const settled = new Settled();
  const held = [...Array(12).keys()].map((n) => {
    const ms = 20n * BigInt(n + 1);
    return settled.holds(at(ms), tick(ms - 5n));
  });
  expect(held.indexOf(true)).toBe(8);
});

it('readings every 200 ms: not before the second one, however often the first is looked at', () => {
  const settled = new Settled();
  for (let ms = 10n; ms < 200n; ms += 20n) expect(settled.holds(at(ms), tick(0n))).toBe(false);
  expect(settled.holds(at(210n), tick(200n))).toBe(true);
});

it('a reading that is sent again says nothing, nor does one of another place', () => {
  const settled = new Settled();
  const again = (ms: bigint): Tick => {
    const sent = tick(ms);
    return { ...sent, measured: { ...sent.measured, joints: tick(0n).measured.joints } };
  };
  for (let ms = 0n; ms < 1000n; ms += 20n) expect(settled.holds(at(ms), again(ms))).toBe(false);
  expect(settled.holds(at(1000n), tick(1000n, 0.31))).toBe(false);
  expect(settled.holds(at(1100n), tick(1100n, 0.32))).toBe(false);
  expect(settled.holds(at(1260n), tick(1260n, 0.32))).toBe(true);
});
