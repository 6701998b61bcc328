/** The steps of a check in which the arm is driven: hold, jog, gripper. Each motion waits for a yes. */
import { Settled } from '../control/session.js';
import { type Clock, nsFromSeconds } from '../control/clock.js';
import type { ControlLoop } from '../control/loop.js';
import { gripperAsItIs, type Jog, type JogPolicy, nothingAgreed } from '../control/jogPolicy.js';
import * as vec3 from '../math/vec3.js';
import type { Application } from '../node/application.js';
import type { Equipment } from '../node/equipment.js';
import type { Pose, Vec3 } from '../types.js';
import { CheckEnded, type Dialogue } from './checkDialogue.js';
import { between, degrees, farthestFrom, millimetres, motionOf } from './checkMeasure.js';
import type { CheckOutcome, CheckReport } from './checkResult.js';
import type { Witness } from './checkWitness.js';

/** What is needed to drive and to watch. */
export interface Driven {
  readonly application: Application;
  readonly equipment: Equipment;
  readonly witness: Witness;
  readonly jog: JogPolicy;
  readonly dialogue: Dialogue;
  readonly report: CheckReport;
  readonly clock: Clock;
  /** Aborted where the person ends the check. */
  readonly signal: AbortSignal;
}

/** A check of one more motion makes no sense: the arm is stopped, or did what nobody wants again. */
export class CheckBroken extends Error {
  override name = 'CheckBroken';
}

const HOLD = 3;
/** An arm that is held may give way by so much, m and rad. */
const HELD = { translation: 3e-3, rotation: 1e-2 };
/** One jog: m, rad, and s from rest to rest. */
const JOG = { translation: 0.01, rotation: (5 * Math.PI) / 180, duration: 2 };
/** What the measured motion may differ from what was asked for. */
const JOGGED = { translation: 3e-3, rotation: (1.5 * Math.PI) / 180 };
/** s that a motion may take beyond its own time. */
const PATIENCE = 5;
const GRIPPER_TIME = 4;
/** An opening counts as reached within this. */
const GRIPPED = 0.15;

// ── Hold ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The arm has just been taken up; `before`: where the tool was until then. */
export async function holdStill(driven: Driven, before: Pose): Promise<void> {
  const { witness, report, dialogue } = driven;
  dialogue.say(`  The arm is held for ${HOLD} s.`);
  witness.begin();
  await pause(driven, HOLD);
  refuseStopped(driven);
  const { ticks } = witness;
  const halted = ticks.find(({ verdict }) => verdict.outcome === 'halt');
  const moved = farthestFrom(before, ticks);
  const stays = moved.translation <= HELD.translation && moved.rotation <= HELD.rotation;
  const sent = ticks.some((tick) => tick.sent);
  report.add({
    step: 'hold',
    what: `hold ${HOLD} s`,
    outcome: stays && sent && !halted ? 'ok' : 'failed',
    sentence: halted
      ? `the guard held the arm: ${halted.verdict.reasons.map(({ message }) => message).join(' ')}`
      : `${sent ? '' : 'nothing was sent to the arm; '}the tool moved by ${millimetres(moved.translation)} and ${degrees(moved.rotation)} at most`,
    values: { mm: 1e3 * moved.translation, deg: (180 / Math.PI) * moved.rotation },
  });
  if (halted || !stays) throw new CheckBroken('an arm that is not held still is not jogged');
}

// ── Jog ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

interface JogAxis {
  /** `+x`, `-yaw` … */
  readonly name: string;
  readonly kind: 'translation' | 'rotation';
  /** Unit vector in the base frame, with its sign. */
  readonly direction: Vec3;
}

const turns = ['roll', 'pitch', 'yaw'] as const;
const axes = ['x', 'y', 'z'] as const;

/** There and back along x, y, z, then about them: the arm ends where it began. */
export const jogAxes: readonly JogAxis[] = (['translation', 'rotation'] as const).flatMap((kind) =>
  [0, 1, 2].flatMap((axis) =>
    [1, -1].map((sign) => ({
      name: `${sign > 0 ? '+' : '-'}${(kind === 'translation' ? axes : turns)[axis]!}`,
      kind,
      direction: [0, 1, 2].map((i) => (i === axis ? sign : 0)) as unknown as Vec3,
    })),
  ),
);

/** @throws CheckBroken at the first motion that failed, or that the person did not see. */
export async function jogAll(driven: Driven): Promise<void> {
  for (const axis of jogAxes) await jogOne(driven, axis);
}

async function jogOne(driven: Driven, axis: JogAxis): Promise<void> {
  const { dialogue, report, equipment, witness } = driven;
  const { config, arm } = equipment;
  const size = sizeOf(axis, driven);
  const words = describe(axis, size, config.baseFrame);
  if (!(await dialogue.agree(`  Jog ${axis.name}: ${words}. Go?`))) {
    report.add({ step: 'jog', what: axis.name, outcome: 'skipped', sentence: 'not agreed to' });
    return;
  }
  const vector = vec3.scale(axis.direction, size);
  const asked = {
    translation: axis.kind === 'translation' ? vector : vec3.zero,
    rotation: axis.kind === 'rotation' ? vector : vec3.zero,
  };
  await move(driven, {
    delta: { ...asked, gripper: gripperAsItIs },
    durationNs: nsFromSeconds(JOG.duration),
  });
  const motion = motionOf(witness.ticks, arm?.arm ?? null);
  if (!motion) throw new CheckBroken("the tool's pose was not known during the motion");
  const off = between(motion.measured, asked);
  const reached = off.translation <= JOGGED.translation && off.rotation <= JOGGED.rotation;
  const inUnits = axis.kind === 'translation' ? millimetres : degrees;
  const way = (of: typeof asked): string => inUnits(vec3.dot(of[axis.kind], axis.direction));
  const why = reached ? '' : explanation(witness);
  report.add({
    step: 'jog',
    what: axis.name,
    outcome: outcomeOf(reached, axis, config.description?.taskWeights),
    sentence: [
      `asked ${inUnits(size)}`,
      ...(motion.commanded ? [`commanded ${way(motion.commanded)}`] : []),
      `measured ${way(motion.measured)}`,
      `off by ${millimetres(off.translation)} and ${degrees(off.rotation)} in all`,
      ...(motion.lag === null ? [] : [`${(1e3 * motion.lag).toFixed(0)} ms behind the command`]),
      ...(why === '' ? [] : [why]),
    ].join(', '),
    values: {
      asked: size,
      commanded: motion.commanded && vec3.dot(motion.commanded[axis.kind], axis.direction),
      measured: vec3.dot(motion.measured[axis.kind], axis.direction),
      offMm: 1e3 * off.translation,
      offDeg: (180 / Math.PI) * off.rotation,
      lagMs: motion.lag === null ? null : 1e3 * motion.lag,
    },
  });
  if (!reached && outcomeOf(reached, axis, config.description?.taskWeights) === 'failed')
    throw new CheckBroken('a motion that was not made as asked for is not followed by another');
  if (await dialogue.agree(`    Is that what the tool did, ${words}?`)) return;
  report.add({
    step: 'jog',
    what: `${axis.name} seen`,
    outcome: 'failed',
    sentence: `the person beside the arm did not see it move ${words}: is ${config.baseFrame} where you think, and is description.baseLink of robot.yaml that frame?`,
  });
  throw new CheckBroken('what is measured is not what happens');
}

/** An arm of five axes gives up a rotation: then it need not be reached. */
function outcomeOf(
  reached: boolean,
  { kind }: JogAxis,
  weights: readonly number[] | undefined,
): CheckOutcome {
  if (reached) return 'ok';
  return kind === 'rotation' && weights?.some((weight) => weight < 1) ? 'note' : 'failed';
}

/** What one policy step may be, at most. */
function sizeOf({ kind }: JogAxis, { equipment }: Driven): number {
  const { maxStepTranslation, maxStepRotation } = equipment.config.guard;
  return kind === 'translation'
    ? Math.min(JOG.translation, maxStepTranslation)
    : Math.min(JOG.rotation, maxStepRotation);
}

function describe({ kind, name, direction }: JogAxis, size: number, frame: string): string {
  if (kind === 'translation')
    return `${millimetres(size)} along ${name} of ${frame}${name === '+z' ? ', up where z is up' : ''}`;
  const axis = axes[direction.findIndex((value) => value !== 0)]!;
  const sense = name.startsWith('+') ? 'counter-clockwise' : 'clockwise';
  return `${degrees(size)} ${sense} about ${axis} of ${frame}, seen from the head of its arrow`;
}

// ── Gripper ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Closes and opens, or the other way round: it ends as it began. */
export async function moveGripper(driven: Driven): Promise<void> {
  const { equipment, report, dialogue, witness } = driven;
  if (!equipment.config.gripper?.command) {
    const sentence = 'robot.yaml names no gripper.command';
    report.add({ step: 'gripper', what: 'gripper', outcome: 'skipped', sentence });
    return;
  }
  const isOpen = (witness.gripper?.opening ?? 1) > 0.5;
  for (const opening of isOpen ? [0, 1] : [1, 0]) {
    const what = opening === 1 ? 'open' : 'close';
    if (!(await dialogue.agree(`  The gripper will ${what}; nothing between the fingers. Go?`))) {
      report.add({ step: 'gripper', what, outcome: 'skipped', sentence: 'not agreed to' });
      continue;
    }
    await move(driven, {
      delta: { translation: vec3.zero, rotation: vec3.zero, gripper: opening },
      durationNs: nsFromSeconds(0.5),
    });
    const reached = await becomes(driven, GRIPPER_TIME, () => {
      const now = witness.gripper;
      return now !== null && Math.abs(now.opening - opening) <= GRIPPED;
    });
    const now = witness.gripper?.opening ?? null;
    const why = reached ? '' : explanation(witness);
    report.add({
      step: 'gripper',
      what,
      outcome: reached ? 'ok' : 'failed',
      sentence: `asked for ${opening}, measured ${now === null ? 'nothing' : now.toFixed(2)}${why === '' ? '' : `, ${why}`}`,
      values: { asked: opening, measured: now },
    });
    refuseStopped(driven);
  }
}

// ── One motion ──────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Makes one agreed motion, through policy desk, player, guard and robot as any other, and resolves when the arm rests.
 * Its ticks are the witness's then.
 * @throws CheckBroken where it was not begun, or the arm did not come to rest in time.
 */
async function move(driven: Driven, jog: Jog): Promise<void> {
  const { equipment, jog: policy, witness } = driven;
  const { aligner } = equipment;
  refuseStopped(driven);
  witness.begin();
  aligner.beginEpisode('one motion of the check', 'the next motion of the check');
  policy.agree(jog, aligner.episode);
  try {
    if (!(await becomes(driven, PATIENCE, () => loopOf(driven).last?.prediction != null)))
      throw new CheckBroken(
        `the motion was not begun: ${explanation(witness) || (aligner.missing()?.message ?? 'the policy was not asked')}`,
      );
    const settled = new Settled();
    const seconds = Number(jog.durationNs) / 1e9 + PATIENCE;
    const rests = await becomes(driven, seconds, () => {
      const { last } = loopOf(driven);
      if (last && last.target.kind !== 'rest') settled.moves();
      return settled.holds(driven.clock.now(), last) && last?.target.kind === 'rest';
    });
    if (!rests) throw new CheckBroken('the arm did not come to rest after the motion');
  } finally {
    policy.withdraw();
    aligner.beginEpisode(null, 'the motion of the check has ended');
  }
  refuseStopped(driven);
}

/** The guard's and the loop's words of why a motion was not as asked for. */
function explanation({ ticks, refusals }: Witness): string {
  const reasons = ticks.flatMap(({ verdict }) =>
    verdict.outcome === 'halt' ? verdict.reasons.map(({ message }) => message) : [],
  );
  const played = refusals.filter((message) => message !== nothingAgreed);
  return [...new Set([...reasons, ...played])].slice(0, 3).join(' ');
}

function loopOf({ application }: Driven): ControlLoop {
  const { session } = application;
  if (!session) throw new CheckBroken('control over the arm has ended');
  return session.loop;
}

/** @throws CheckBroken where something has latched a stop. */
function refuseStopped({ application }: Driven): void {
  const { latched } = application.stops;
  if (latched) throw new CheckBroken(`the arm was stopped: ${latched.message}`);
}

/** Whether it came to be true within `seconds`. @throws CheckEnded, CheckBroken */
async function becomes(driven: Driven, seconds: number, isTrue: () => boolean): Promise<boolean> {
  const { clock } = driven;
  const endNs = clock.now().nowNs + nsFromSeconds(seconds);
  while (!isTrue()) {
    if (clock.now().nowNs > endNs) return false;
    await pause(driven, 0.02);
    refuseStopped(driven);
  }
  return true;
}

/** @throws CheckEnded */
export async function pause(
  { clock, signal }: Pick<Driven, 'clock' | 'signal'>,
  seconds: number,
): Promise<void> {
  await clock.sleepUntil(clock.now().nowNs + nsFromSeconds(seconds), signal);
  if (!signal.aborted) return;
  throw new CheckEnded(String(signal.reason));
}
