/** Observation → message for the worker. */
import type { CameraImage, Observation } from '../types.js';
import type { ModelFacts, ToWorker, TraceQuestion } from './protocol.js';

/** A message and the buffers in it that are handed over with it. */
export interface Parcel {
  readonly message: Extract<ToWorker, { readonly id: number; readonly observation: Observation }>;
  readonly buffers: readonly ArrayBuffer[];
}

/**
 * Only what the worker reads goes along: the frames of the cameras it looks at, without the joints. Their bytes are
 * copied, once, and the copies handed over, so the caller's buffers stay as they are; and where a frame is a small view
 * of a large buffer (a chunk of a bag), only the view travels.
 */
export function packAction(id: number, observation: Observation, facts: ModelFacts): Parcel {
  const { packed, buffers } = pack(observation, facts.cameras.action);
  return { message: { kind: 'action', id, observation: packed }, buffers };
}

/** As packAction, with the question. */
export function packTrace(
  id: number,
  observation: Observation,
  question: TraceQuestion,
  facts: ModelFacts,
): Parcel {
  const { packed, buffers } = pack(observation, facts.cameras.trace);
  return { message: { kind: 'trace', id, observation: packed, question }, buffers };
}

function pack(
  observation: Observation,
  cameras: readonly string[],
): { readonly packed: Observation; readonly buffers: ArrayBuffer[] } {
  const buffers: ArrayBuffer[] = [];
  const images: Record<string, CameraImage> = {};
  for (const camera of cameras) {
    const image = Object.hasOwn(observation.images, camera)
      ? observation.images[camera]
      : undefined;
    if (!image) continue;
    const data = new Uint8Array(image.data);
    buffers.push(data.buffer);
    images[camera] = { ...image, data };
  }
  return { packed: { ...observation, images, joints: null }, buffers };
}
