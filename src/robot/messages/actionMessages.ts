/** Predicted actions, and what they were made of ↔ magma_vla/ActionChunk. */
import { DataError } from '../../errors.js';
import type { ActionChunk, ActionPrediction, Quaternion, Vec3 } from '../../types.js';
import type { RosMessage } from './cdr.js';
import { messageFromHeader, messageFromStamp, stampFromMessage } from './messages.js';
import type { Seen } from './observationHash.js';
import { messageFromTiming, numbers, timingFromMessage } from './outputFields.js';

// Constants of ActionChunk.msg, in its order.
const kinds = ['endEffectorDelta', 'endEffectorPose', 'jointPosition'] as const;
const references = ['lastTarget', 'observedPose'] as const;
const compositions = ['base', 'tool'] as const;

/** magma_vla/ActionChunk. `seen`: what the prediction was made of. */
export function messageFromAction(prediction: ActionPrediction, seen: Seen): RosMessage {
  const { chunk } = prediction;
  const isDelta = chunk.kind === 'endEffectorDelta';
  return {
    header: messageFromHeader(prediction.observationStampNs, chunk.frameId),
    episode: BigInt(prediction.episode),
    step_period: messageFromStamp(chunk.stepPeriodNs),
    kind: kinds.indexOf(chunk.kind),
    reference: isDelta ? references.indexOf(chunk.reference) : 0,
    composition: isDelta ? compositions.indexOf(chunk.composition) : 0,
    values: stepValues(chunk).flat(),
    gripper: chunk.steps.map((step) => step.gripper),
    confidence: prediction.confidence,
    timing_ms: messageFromTiming(prediction.timing),
    ...messageFromSeen(seen),
    tokens: [...(prediction.tokens ?? [])],
  };
}

export function actionFromMessage(message: RosMessage, where: string): ActionPrediction {
  const { header, kind } = message as { header: RosMessage; kind: number };
  const shared = {
    stepPeriodNs: stampFromMessage(message['step_period'], where),
    frameId: String(header['frame_id']),
  };
  const gripper = numbers(message['gripper']);
  const rows = split(numbers(message['values']), gripper.length, where);
  const tokens = numbers(message['tokens']);
  return {
    observationStampNs: stampFromMessage(header['stamp'], where),
    episode: Number(message['episode']),
    chunk: chunkFrom(kinds[kind], rows, gripper, message, shared, where),
    confidence: Number(message['confidence']),
    timing: timingFromMessage(message['timing_ms'], where),
    ...(tokens.length > 0 ? { tokens } : {}),
  };
}

// ── What was seen ───────────────────────────────────────────────────────────────────────────────────────────────────

/** Bytes of a SHA-256. */
const DIGEST = 32;

/** The fields of an ActionChunk that say what it was made of. */
function messageFromSeen({ instruction, inputs, sha256 }: Seen): RosMessage {
  const digests = inputs.flatMap((input) => (input.sha256 ? [...input.sha256] : []));
  return {
    instruction,
    input_names: inputs.map(({ name }) => name),
    input_stamps: inputs.map(({ stampNs }) => messageFromStamp(stampNs)),
    input_sha256: Uint8Array.from(digests.length === DIGEST * inputs.length ? digests : []),
    observation_sha256: sha256 ?? new Uint8Array(DIGEST),
  };
}

/** What the prediction of a magma_vla/ActionChunk was made of. @throws DataError where its lists do not fit together. */
export function seenFromMessage(message: RosMessage, where: string): Seen {
  const names = message['input_names'] as readonly string[];
  const stamps = message['input_stamps'] as readonly unknown[];
  const digests = Uint8Array.from(message['input_sha256'] as ArrayLike<number>);
  const sha256 = Uint8Array.from(message['observation_sha256'] as ArrayLike<number>);
  const hashed = digests.byteLength > 0;
  if (
    names.length !== stamps.length ||
    new Set(names).size !== names.length ||
    (hashed && digests.byteLength !== DIGEST * names.length)
  )
    throw new DataError(
      `${where}: inputs`,
      `${names.length} names, ${stamps.length} stamps, ${digests.byteLength} bytes of hashes`,
      `different names, a stamp each, and ${DIGEST} bytes each or none`,
    );
  return {
    instruction: String(message['instruction']),
    inputs: names.map((name, i) => ({
      name,
      stampNs: stampFromMessage(stamps[i], where),
      sha256: hashed ? digests.slice(DIGEST * i, DIGEST * (i + 1)) : null,
    })),
    sha256: sha256.some((byte) => byte !== 0) ? sha256 : null,
  };
}

// ── Steps ───────────────────────────────────────────────────────────────────────────────────────────────────────────

function stepValues(chunk: ActionChunk): number[][] {
  if (chunk.kind === 'endEffectorDelta')
    return chunk.steps.map((s) => [...s.translation, ...s.rotation]);
  if (chunk.kind === 'endEffectorPose')
    return chunk.steps.map((s) => [...s.pose.translation, ...s.pose.rotation]);
  return chunk.steps.map((s) => [...s.position]);
}

function chunkFrom(
  kind: ActionChunk['kind'] | undefined,
  rows: readonly (readonly number[])[],
  gripper: readonly number[],
  message: RosMessage,
  shared: { readonly stepPeriodNs: bigint; readonly frameId: string },
  where: string,
): ActionChunk {
  const width = { endEffectorDelta: 6, endEffectorPose: 7, jointPosition: rows[0]?.length ?? 0 };
  const reference = references[Number(message['reference'])];
  const composition = compositions[Number(message['composition'])];
  if (!kind || !reference || !composition || rows.some((row) => row.length !== width[kind]))
    throw new DataError(where, `kind ${String(message['kind'])}`, 'an ActionChunk as defined');
  const at = (i: number, from: number, to: number): readonly number[] => rows[i]!.slice(from, to);
  if (kind === 'endEffectorDelta')
    return {
      ...shared,
      kind,
      reference,
      composition,
      steps: gripper.map((g, i) => ({
        translation: at(i, 0, 3) as unknown as Vec3,
        rotation: at(i, 3, 6) as unknown as Vec3,
        gripper: g,
      })),
    };
  if (kind === 'endEffectorPose')
    return {
      ...shared,
      kind,
      steps: gripper.map((g, i) => ({
        pose: {
          translation: at(i, 0, 3) as unknown as Vec3,
          rotation: at(i, 3, 7) as unknown as Quaternion,
        },
        gripper: g,
      })),
    };
  return { ...shared, kind, steps: gripper.map((g, i) => ({ position: rows[i]!, gripper: g })) };
}

/** One row per step. */
function split(
  values: readonly number[],
  rows: number,
  where: string,
): readonly (readonly number[])[] {
  const width = rows === 0 ? 0 : values.length / rows;
  if (!Number.isInteger(width))
    throw new DataError(where, `${values.length} values for ${rows} steps`, 'a whole row per step');
  return Array.from({ length: rows }, (_, i) => values.slice(i * width, (i + 1) * width));
}
