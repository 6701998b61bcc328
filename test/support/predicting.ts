/** nano's own contract and tokenizer with scripted answers of its network, and what a robot shows it. */
import { Predictor, readModelParts, type ModelParts } from '../../src/model/predictor.js';
import type { ModelSettings } from '../../src/model/protocol.js';
import type { CameraImage, Observation, RgbImage } from '../../src/types.js';
import { nanoFolder } from './randomNano.js';
import { scriptedRuntime } from './scriptedRuntime.js';

/** nano at the camera `front` of a robot that has another one too. */
export const settings: ModelSettings = {
  folder: nanoFolder,
  cache: '',
  robot: { robot: 'sim', baseFrame: 'base_link' },
  cameras: { front: 'primary', wrist: 'other' },
  provider: 'cpu',
  threads: 1,
  sliceTokens: 16,
};
export const parts = readModelParts(settings);
export const { decoding, tokenizer, contract } = parts;
export const { endId } = decoding;

/** Time passes by 1 ms at every look. */
export function opened(more: Partial<ModelSettings> = {}, changed: Partial<ModelParts> = {}) {
  const script = scriptedRuntime(1016);
  let nowMs = 0;
  const clock = (): number => nowMs++;
  const predictor = new Predictor(
    { ...parts, ...changed },
    script.runtime,
    { ...settings, ...more },
    clock,
  );
  return { predictor, script };
}

export function picture(height = 128, width = 128): RgbImage {
  const data = Uint8Array.from({ length: height * width * 3 }, (_, i) => (i * 37) % 200);
  return { height, width, data };
}

export function rawFrame({ height, width, data }: RgbImage): CameraImage {
  const step = width * 3;
  const kind = 'raw';
  const encoding = 'rgb8';
  return {
    kind,
    stampNs: 5n,
    frameId: 'f',
    height,
    width,
    encoding,
    step,
    isBigEndian: false,
    data,
  };
}

export function observed(more: Partial<Observation> = {}): Observation {
  return {
    stampNs: 5n,
    episode: 3,
    instruction: 'Pick the red block.',
    images: { front: rawFrame(picture()) },
    joints: null,
    endEffector: {
      stampNs: 4n,
      frameId: 'base_link',
      pose: { translation: [0.48, 0, 0.2], rotation: [0, 0, 0, 1] },
    },
    gripper: { stampNs: 4n, opening: 1 },
    ...more,
  };
}
