/** What a stretch of control ticks says of a motion: how far the arm was told to go, how far it went, how much later. */
import { type Arm } from '../arm/kinematics.js';
import { poseFromCommand } from '../control/commanded.js';
import { secondsFromNs } from '../control/clock.js';
import type { Tick } from '../control/loop.js';
import { rotationBetween } from '../control/motion.js';
import * as vec3 from '../math/vec3.js';
import type { Pose, Vec3 } from '../types.js';

/** Base frame: m, and a rotation vector in rad (R' = δ·R). */
export interface Displacement {
  readonly translation: Vec3;
  readonly rotation: Vec3;
}

export function displacement(from: Pose, to: Pose): Displacement {
  return {
    translation: vec3.sub(to.translation, from.translation),
    rotation: rotationBetween(from, to),
  };
}

/** How far apart two displacements are, m and rad. */
export function between(
  a: Displacement,
  b: Displacement,
): { readonly translation: number; readonly rotation: number } {
  return {
    translation: vec3.distance(a.translation, b.translation),
    rotation: vec3.distance(a.rotation, b.rotation),
  };
}

export interface Motion {
  /** As commanded after the guard; null for a robot that is told speeds, not places. */
  readonly commanded: Displacement | null;
  readonly measured: Displacement;
  /** s by which the measured motion is later than the commanded one; null where one of them did not move. */
  readonly lag: number | null;
}

/** Less way than this has no time of its own, m or rad. */
const STILL = 1e-3;

/**
 * Of a motion from rest to rest along one direction. The lag is the area between the two curves of progress, each over its
 * own way: for a curve that is the other one moved in time, exactly that time.
 *
 * @returns null where no tick knows the tool's pose.
 */
export function motionOf(ticks: readonly Tick[], arm: Arm | null): Motion | null {
  const samples = ticks.flatMap((tick) => {
    const { endEffector } = tick.measured;
    const command = poseFromCommand(tick.verdict.command, arm, endEffector);
    return endEffector && command
      ? [{ nowNs: tick.nowNs, measured: endEffector.pose, commanded: command.pose }]
      : [];
  });
  const [first, last] = [samples[0], samples.at(-1)];
  if (!first || !last) return null;
  const measured = displacement(first.measured, last.measured);
  if (ticks.some(({ verdict }) => verdict.command.kind === 'twist'))
    return { commanded: null, measured, lag: null };
  const commanded = displacement(first.commanded, last.commanded);
  const lag = lagBetween(
    samples.map(({ nowNs }) => nowNs),
    samples.map((sample) => displacement(first.commanded, sample.commanded)),
    samples.map((sample) => displacement(first.measured, sample.measured)),
  );
  return { commanded, measured, lag };
}

/** ∫ (c(t)/c(end) − m(t)/m(end)) dt, by trapezoids, along the commanded direction. */
function lagBetween(
  nowNs: readonly bigint[],
  commanded: readonly Displacement[],
  measured: readonly Displacement[],
): number | null {
  const end = commanded.at(-1)!;
  const kind =
    vec3.norm(end.translation) >= STILL
      ? 'translation'
      : vec3.norm(end.rotation) >= STILL
        ? 'rotation'
        : null;
  if (kind === null) return null;
  const direction = vec3.normalise(end[kind]);
  const along = (curve: readonly Displacement[]): readonly number[] =>
    curve.map((sample) => vec3.dot(sample[kind], direction));
  const [c, m] = [along(commanded), along(measured)];
  const [wayC, wayM] = [c.at(-1)!, m.at(-1)!];
  if (Math.abs(wayM) < STILL) return null;
  const behind = c.map((value, i) => value / wayC - m[i]! / wayM);
  return behind.slice(1).reduce((area, value, i) => {
    const dt = secondsFromNs(nowNs[i + 1]! - nowNs[i]!);
    return area + (dt * (value + behind[i]!)) / 2;
  }, 0);
}

/** Farthest of the tool from `reference`, m and rad, over all ticks that know it. */
export function farthestFrom(
  reference: Pose,
  ticks: readonly Tick[],
): { readonly translation: number; readonly rotation: number } {
  const ways = ticks.flatMap(({ measured: { endEffector } }) =>
    endEffector ? [displacement(reference, endEffector.pose)] : [],
  );
  return {
    translation: Math.max(0, ...ways.map((way) => vec3.norm(way.translation))),
    rotation: Math.max(0, ...ways.map((way) => vec3.norm(way.rotation))),
  };
}

export const millimetres = (metres: number): string => `${(1e3 * metres).toFixed(2)} mm`;
export const degrees = (radians: number): string => `${((180 / Math.PI) * radians).toFixed(2)}°`;
