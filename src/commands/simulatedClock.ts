import type { Clock } from '../control/clock.js';

/**
 * The clock of a simulation that is advanced with real time: from where it stands now, by one period whenever one has passed
 * since `beganNs` of the steady clock. Between two steps its stamps go on with real time: what is aged or timed by them is so
 * to the nanosecond, not to the step. They never pass the step that comes next: where the simulation is late its clock waits
 * for it, and never runs back.
 */
export function simulatedClock(
  clock: Clock,
  robot: { readonly stampNs: bigint },
  { beganNs, periodNs }: { readonly beganNs: bigint; readonly periodNs: bigint },
): Clock {
  const beganStampNs = robot.stampNs;
  return {
    now: () => {
      const { nowNs } = clock.now();
      const stepNs = robot.stampNs;
      const passedNs = nowNs - beganNs - (stepNs - beganStampNs);
      return { nowNs, stampNs: stepNs + within(passedNs, periodNs) };
    },
    sleepUntil: (nowNs, signal) => clock.sleepUntil(nowNs, signal),
  };
}

function within(ns: bigint, mostNs: bigint): bigint {
  if (ns < 0n) return 0n;
  return ns < mostNs ? ns : mostNs;
}
