/**
 * One action and the beginning of one trace on a made-up observation, so that the first real one is as fast as the
 * next: memory is claimed, graphs have run, the JPEG decoder and OpenCV are loaded. What is answered does not matter,
 * but that something is: a model that cannot be asked is found here.
 */
import { ModelError } from '../errors.js';
import { encodeJpeg } from '../image/codec.js';
import type { Answer, Observation, Refusal, RgbImage } from '../types.js';
import type { Contract } from './contract.js';
import type { Predictor } from './predictor.js';

/** Slices of the trace: the prompt's, and one that continues. */
const traceSlices = 2;

/** @throws ModelError where the graphs fail or give no numbers, or no question can be put to them. */
export async function warmUp(predictor: Predictor, baseFrame: string): Promise<void> {
  const { contract, cameras } = predictor;
  const names = [...new Set([...cameras.action, ...cameras.trace])];
  const observation = await madeUpObservation(contract, names, baseFrame);
  assertAsked('action', (await predictor.predictAction(observation)).answer);
  const camera = cameras.trace[0];
  if (camera === undefined) return;
  let pauses = 0;
  // The first pause comes before the prompt is encoded.
  const { answer } = await predictor.predictTrace(observation, { camera, marks: [] }, () =>
    Promise.resolve(++pauses > traceSlices + 1 ? enough : null),
  );
  assertAsked('trace', answer);
}

/** Prose is an answer; that nothing was asked, because the question does not fit the model, is not. */
function assertAsked(what: 'action' | 'trace', answer: Answer<unknown>): void {
  if (answer.ok || answer.refusal.kind !== 'badObservation') return;
  const { message } = answer.refusal;
  throw new ModelError(`warm-up, ${what}`, message, 'an answer to a made-up observation');
}

const enough: Refusal = { kind: 'preempted', message: 'the warm-up is done' };

async function madeUpObservation(
  contract: Contract,
  cameras: readonly string[],
  baseFrame: string,
): Promise<Observation> {
  const data = await encodeJpeg(chequers(480, 640), 80);
  const stampNs = 0n;
  const image = { kind: 'compressed', stampNs, frameId: 'warmUp', format: 'jpeg', data } as const;
  const middle = (name: string): number => {
    const field = contract.state.find((candidate) => candidate.name === name);
    return field ? (field.min + field.max) / 2 : 0;
  };
  return {
    stampNs,
    episode: 0,
    instruction: 'push the red block left',
    images: Object.fromEntries(cameras.map((name) => [name, image])),
    joints: null,
    endEffector: {
      stampNs,
      frameId: baseFrame,
      pose: {
        translation: [middle('x'), middle('y'), middle('z')],
        rotation: [0, 0, 0, 1],
      },
    },
    gripper: { stampNs, opening: 0.5 },
  };
}

/** Fields of 40 px: corners for the interest points. */
function chequers(height: number, width: number): RgbImage {
  const data = new Uint8Array(height * width * 3);
  for (let y = 0, at = 0; y < height; y++)
    for (let x = 0; x < width; x++, at += 3)
      data.fill((Math.floor(x / 40) + Math.floor(y / 40)) % 2 === 0 ? 200 : 60, at, at + 3);
  return { height, width, data };
}
