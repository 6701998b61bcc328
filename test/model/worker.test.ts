/** The built worker in its thread, on nano with random weights: what it answers is prose, and refused as such. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ModelError } from '../../src/errors.js';
import { encodeJpeg } from '../../src/image/codec.js';
import { ModelClient, type ClientOptions } from '../../src/model/client.js';
import type { LoadProgress } from '../../src/model/protocol.js';
import type { Answer, Observation } from '../../src/types.js';
import { realClock } from '../support/realClock.js';
import { writeRandomNano } from '../support/randomNano.js';
import { temporaryFolder } from '../support/tinyMagma.js';

const patienceMs = 60_000;
const weights = temporaryFolder();
const cache = temporaryFolder();
const progress: LoadProgress[] = [];
let client: ModelClient;
let observation: Observation;

const options: ClientOptions = {
  settings: {
    folder: weights.path,
    cache: cache.path,
    robot: { robot: 'sim', baseFrame: 'base_link' },
    cameras: { front: 'primary' },
    provider: 'cpu',
    threads: 1,
    sliceTokens: 8,
  },
  clock: realClock,
};

beforeAll(async () => {
  writeRandomNano(weights.path, 7);
  client = await ModelClient.open({ ...options, onProgress: (step) => progress.push(step) });
  const data = await encodeJpeg({ height: 96, width: 128, data: noise(96 * 128 * 3) }, 80);
  observation = {
    stampNs: 3n,
    episode: 1,
    instruction: 'pick the red block',
    images: { front: { kind: 'compressed', stampNs: 3n, frameId: 'f', format: 'jpeg', data } },
    joints: null,
    endEffector: {
      stampNs: 3n,
      frameId: 'base_link',
      pose: { translation: [0.4, 0, 0.2], rotation: [0, 0, 0, 1] },
    },
    gripper: { stampNs: 3n, opening: 1 },
  };
}, 120_000);

afterAll(async () => {
  await client.close();
  weights.remove();
  cache.remove();
});

describe('the inference worker', () => {
  it('builds graphs, opens sessions and warms up before it is ready', () => {
    const stages = [...new Set(progress.map(({ stage }) => stage))];
    expect(stages).toEqual(['hash', 'vision', 'decoder', 'sessions', 'warmUp']);
    expect(client.facts).toMatchObject({
      name: 'nano',
      graphs: 'built',
      provider: { provider: 'cpu', reason: 'as asked' },
      decoding: {
        kind: 'loop',
        reason: 'gives the same tokens and scores as the step-by-step reference',
      },
      cameras: { action: ['front'], trace: ['front'] },
    });
    expect(client.facts.warmUpMs).toBeGreaterThan(0);
  });

  it('refuses prose, with the time it took', async () => {
    expect(await client.requestAction(observation, patienceMs)).toMatchObject({
      ok: false,
      refusal: { kind: 'malformedAnswer', message: expect.stringContaining('is no action') },
    });
    const { visionMs, generateMs } = client.timings.action!;
    expect(visionMs).toBeGreaterThan(0);
    expect(generateMs).toBeGreaterThan(0);
  });

  it('answers actions while a trace is under way', async () => {
    const done: string[] = [];
    const note = async (name: string, answer: Promise<Answer<unknown>>): Promise<void> => {
      await answer;
      done.push(name);
    };
    const question = { camera: 'front', marks: [{ id: 1, at: { x: 30, y: 40 } }] };
    // Random weights do not end an answer: the trace is 512 tokens long.
    const trace = note('trace', client.requestTrace(observation, question, patienceMs));
    await note('first action', client.requestAction(observation, patienceMs));
    await note('second action', client.requestAction(observation, patienceMs));
    await trace;
    expect(done).toEqual(['first action', 'second action', 'trace']);
  });

  it('ends a trace that nobody waits for, and is ready for the next', async () => {
    const question = { camera: 'front', marks: [{ id: 1, at: { x: 30, y: 40 } }] };
    const abandoned = client.requestTrace({ ...observation, episode: 1 }, question, patienceMs);
    client.reset(2);
    expect(await abandoned).toMatchObject({ refusal: { kind: 'staleEpisode' } });
    const next = client.requestAction({ ...observation, episode: 2 }, patienceMs);
    expect(await next).toMatchObject({ refusal: { kind: 'malformedAnswer' } });
    expect(client.health).toMatchObject({ state: 'ready', restarts: 0 });
  });

  it('finds the graphs in the cache the next time', async () => {
    const again = await ModelClient.open(options);
    expect(again.facts.graphs).toBe('cache');
    await again.close();
  });

  it('says which statistics there are when it is asked for others', async () => {
    const settings = { ...options.settings, statistics: 'bridge_orig' };
    await expect(ModelClient.open({ ...options, settings })).rejects.toThrow(
      'statistics of nano: got "bridge_orig", expected one of sim',
    );
  });
});

describe('a broken checkpoint', () => {
  const tooLarge = 3e38;
  it.each([
    ['a NaN', NaN, '.stem.0.bias', 'row 0: got a number that is not finite'],
    [
      'too large a number in its vision',
      tooLarge,
      'stages.1.downsample.1.weight',
      'visual tokens: got',
    ],
    ['too large a number in its decoder', tooLarge, 'model.norm.weight', 'scores of a token: got'],
  ])('with %s is never ready', async (_what, value, ending, message) => {
    const folder = temporaryFolder();
    writeRandomNano(folder.path, 7, (name, data) => {
      if (name.endsWith(ending)) data.fill(value);
    });
    const settings = { ...options.settings, folder: folder.path };
    const opening = ModelClient.open({ ...options, settings });
    await expect(opening).rejects.toThrow(ModelError);
    await expect(opening).rejects.toThrow(message);
    folder.remove();
  });
});

function noise(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * i * 31) % 251);
}
