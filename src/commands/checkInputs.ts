/** First step with a robot: what comes in, how often, how old, and whether every camera shows what robot.yaml says. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inArmOrder } from '../control/align.js';
import type { Instant } from '../control/clock.js';
import { secondsFromNs } from '../control/clock.js';
import type { Config } from '../config.js';
import { rgbFromCamera } from '../image/camera.js';
import { encodeJpeg } from '../image/codec.js';
import { resizePillow } from '../image/pillow.js';
import type { Equipment } from '../node/equipment.js';
import type { InputReport } from '../robot/ros/rosRobot.js';
import type { CameraImage, RgbImage } from '../types.js';
import { inMetres, isInside, sentenceOfError } from './checkFiles.js';
import type { CheckFinding, CheckOutcome } from './checkResult.js';
import { cameraInput, type Witness } from './checkWitness.js';

/** Longest side of a thumbnail, pixels. */
const THUMBNAIL = 320;

type Found = Omit<CheckFinding, 'step'>;
const finding = (
  what: string,
  outcome: CheckOutcome,
  sentence: string,
  values?: CheckFinding['values'],
): Found => ({ what, outcome, sentence, ...(values ? { values } : {}) });

export interface InputsLookedAt {
  readonly equipment: Equipment;
  readonly witness: Witness;
  readonly now: () => Instant;
  /** Names in robot.yaml → names in the graph. */
  readonly resolve: (topic: string) => string;
  /** Where thumbnails go. */
  readonly folder: string;
}

/** Never rejects for what the robot sends. */
export async function inputFindings(looked: InputsLookedAt): Promise<readonly CheckFinding[]> {
  const { equipment, witness, now } = looked;
  const { config, aligner } = equipment;
  const all = equipment.robot.inputs();
  const reports: Reports = (topic) => all.find((one) => one.topic === looked.resolve(topic));
  const at = now();
  const cameras = await Promise.all(
    Object.keys(config.cameras).map((camera) => cameraFindings(looked, camera, reports, at)),
  );
  const joints = config.joints ? jointFindings(equipment, witness, reports, at) : [];
  const gripper = config.gripper ? gripperFindings(config, witness, reports, at) : [];
  const { endEffector } = aligner.measured();
  const tool = endEffector
    ? [toolFinding(config, endEffector.pose.translation)]
    : [finding('tool', 'failed', 'its pose is not known: neither joints nor endEffector tell it.')];
  return [...cameras.flat(), ...joints, ...gripper, ...tool].map((found) => ({
    step: 'inputs',
    ...found,
  }));
}

// ── Cameras ─────────────────────────────────────────────────────────────────────────────────────────────────────────

async function cameraFindings(
  { equipment, witness, folder }: InputsLookedAt,
  camera: string,
  reports: Reports,
  at: Instant,
): Promise<readonly Found[]> {
  const { config } = equipment;
  const { topic, modelKey } = config.cameras[camera]!;
  const what = cameraInput(camera);
  const outcome = modelKey === undefined ? 'note' : 'failed';
  const silent = silence(
    { what, topic, outcome, longest: config.guard.maxObservationAge },
    reports,
    at,
  );
  const image = witness.images.get(camera);
  if (silent || !image) return silent ?? [];
  const report = reports(topic)!;
  const age = witness.age(what) ?? 0;
  const stamp = stampFinding(what, age, config);
  let rgb: RgbImage;
  try {
    rgb = await rgbFromCamera(image, what);
  } catch (error) {
    return [finding(what, 'failed', sentenceOfError(error))];
  }
  const path = join(folder, thumbnailName(camera, modelKey));
  const written = await writeThumbnail(path, rgb);
  const hz = report.hz;
  const slow = hz < 0.8 / config.control.policyPeriod;
  const wanted = `${(1 / config.control.policyPeriod).toFixed(1)} Hz are asked about`;
  return [
    finding(
      what,
      slow && modelKey !== undefined ? 'note' : 'ok',
      `${rgb.height} × ${rgb.width} (height × width), ${encodingOf(image)}, ${hz.toFixed(1)} Hz${slow ? `, while ${wanted}` : ''}, ${ageWords(age)}${modelKey === undefined ? ', not fed to the model' : `, fed to the model as ${modelKey}`}`,
      {
        hz,
        height: rgb.height,
        width: rgb.width,
        encoding: encodingOf(image),
        age,
      },
    ),
    ...(stamp ? [stamp] : []),
    written === null
      ? finding(
          `${what} picture`,
          'ok',
          `look at ${path}: is that the view of ${modelKey ?? camera}?`,
        )
      : finding(`${what} picture`, 'note', `could not be written: ${written}`),
  ];
}

/** Named after what the picture is used as: two cameras that are swapped are seen to be. */
export function thumbnailName(camera: string, modelKey: string | undefined): string {
  const safe = (name: string): string => name.replaceAll(/[^\w.-]/g, '_');
  return modelKey === undefined ? `unused.${safe(camera)}.jpg` : `${safe(modelKey)}.jpg`;
}

/** @returns why not; null where it was written. */
async function writeThumbnail(path: string, image: RgbImage): Promise<string | null> {
  const shrink = Math.min(1, THUMBNAIL / Math.max(image.height, image.width));
  const size = {
    height: Math.max(1, Math.round(shrink * image.height)),
    width: Math.max(1, Math.round(shrink * image.width)),
  };
  try {
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, await encodeJpeg(resizePillow(image, size, 'bilinear'), 90));
    return null;
  } catch (error) {
    return sentenceOfError(error);
  }
}

function encodingOf(image: CameraImage): string {
  return image.kind === 'raw' ? image.encoding : image.format;
}

// ── Joints, gripper, tool ───────────────────────────────────────────────────────────────────────────────────────────

function jointFindings(
  { config, arm }: Equipment,
  witness: Witness,
  reports: Reports,
  at: Instant,
): readonly Found[] {
  const { topic, limits } = config.joints!;
  const longest = config.guard.maxJointAge;
  const silent = silence({ what: 'joints', topic, outcome: 'failed', longest }, reports, at);
  if (silent) return silent;
  const reading = witness.joints;
  if (!reading)
    return [
      finding(
        'joints',
        'failed',
        `messages come on ${topic}, but not all of ${Object.keys(limits).join(', ')} are in them.`,
      ),
    ];
  const report = reports(topic)!;
  const slow = report.hz < 2 / config.guard.maxJointAge;
  const age = witness.age('joints') ?? 0;
  const stamp = stampFinding('joints', age, config);
  const position = arm && inArmOrder(arm.arm, reading);
  const outside = (position ?? []).flatMap((q, i) => {
    const name = arm!.arm.jointNames[i]!;
    const limit = limits[name];
    return limit && (q < limit.lower || q > limit.upper)
      ? [`${name} at ${q.toFixed(3)} (${limit.lower} … ${limit.upper})`]
      : [];
  });
  return [
    finding(
      'joints',
      slow ? 'note' : 'ok',
      `all ${reading.names.length} there, ${report.hz.toFixed(0)} Hz${slow ? `, hardly enough for maxJointAge ${config.guard.maxJointAge} s` : ''}, ${ageWords(age)}, ${reading.velocity ? 'with' : 'without'} velocities, ${reading.effort ? 'with' : 'without'} efforts`,
      { hz: report.hz, age },
    ),
    ...(stamp ? [stamp] : []),
    ...(outside.length > 0
      ? [
          finding(
            'joint positions',
            'failed',
            `outside the limits of robot.yaml: ${outside.join(', ')}. Move the arm inside by its own means first.`,
          ),
        ]
      : []),
  ];
}

function gripperFindings(
  config: Config,
  witness: Witness,
  reports: Reports,
  at: Instant,
): readonly Found[] {
  const { topic, joint } = config.gripper!;
  const longest = config.guard.maxObservationAge;
  const silent = silence({ what: 'gripper', topic, outcome: 'failed', longest }, reports, at);
  if (silent) return silent;
  const { gripper } = witness;
  const age = witness.age('gripper') ?? 0;
  if (!gripper)
    return [finding('gripper', 'failed', `messages come on ${topic}, but none names ${joint}.`)];
  return [
    finding(
      'gripper',
      'ok',
      `opening ${gripper.opening.toFixed(2)} (0 closed … 1 open), ${ageWords(age)}: is that what you see?`,
      { opening: gripper.opening, age },
    ),
  ];
}

function toolFinding({ baseFrame, guard }: Config, tool: readonly [number, number, number]): Found {
  const where = `at ${inMetres(tool)} in ${baseFrame}`;
  return isInside(tool, guard.workspace)
    ? finding('tool', 'ok', `${where}, inside guard.workspace`)
    : finding(
        'tool',
        'note',
        `${where}, outside guard.workspace: it may only move towards the box.`,
      );
}

// ── What all inputs have in common ──────────────────────────────────────────────────────────────────────────────────

/** What comes in on a topic of robot.yaml. */
type Reports = (topic: string) => InputReport | undefined;

interface Expected {
  readonly what: string;
  readonly topic: string;
  readonly outcome: CheckOutcome;
  /** s of silence that are accepted. */
  readonly longest: number;
}

/** Why nothing usable comes on a topic; null where something does. Publishers that are not heard count too. */
function silence(
  { what, topic, outcome, longest }: Expected,
  reports: Reports,
  at: Instant,
): readonly Found[] | null {
  const report = reports(topic);
  const because = report ? silenceOf(report, longest, at) : `nothing listens on ${topic}`;
  return because === null ? null : [finding(what, outcome, `${because}.`)];
}

function silenceOf(report: InputReport, longest: number, { nowNs }: Instant): string | null {
  const { topic, type, count, publishers, lastReceivedNs, unheard } = report;
  if (unheard.length > 0) return `${topic}: ${unheard.join('; ')}`;
  if (publishers === 0) return `${topic}: nobody publishes there`;
  if (count === 0) return `${topic}: ${publishers} publishers, no message (${type})`;
  if (lastReceivedNs === null)
    return `${topic}: none of ${count} messages could be used; the log says why`;
  const silent = secondsFromNs(nowNs - lastReceivedNs);
  return silent > longest
    ? `${topic}: silent for ${silent.toFixed(2)} s, at most ${longest} s is accepted`
    : null;
}

function ageWords(seconds: number): string {
  const ms = 1e3 * seconds;
  return ms < 0
    ? `stamped ${(-ms).toFixed(0)} ms after it came`
    : `stamped ${ms.toFixed(0)} ms before it came`;
}

function stampFinding(what: string, seconds: number, config: Config): Found | null {
  const { maxObservationAge, maxFutureStamp } = config.guard;
  if (seconds <= maxObservationAge && seconds >= -maxFutureStamp) return null;
  const where = seconds < 0 ? 'in the future' : 'old when it comes';
  return finding(
    `${what} stamp`,
    'failed',
    `${Math.abs(seconds).toFixed(3)} s ${where}: is the driver's clock this one's (use_sim_time, NTP)? stampSource: receipt is for drivers without usable stamps.`,
  );
}
