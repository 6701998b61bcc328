/** The built command line, as a person runs it, on nano with random weights. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { stepsPerEpisode, writeBridgeBag } from '../support/bridgeBag.js';
import { temporaryFolder } from '../support/tinyMagma.js';
import { writeRandomNano } from '../support/randomNano.js';

const folder = temporaryFolder();
beforeAll(() => writeRandomNano(folder.path, 5));
afterAll(() => folder.remove());

const simulate = (...more: readonly string[]) =>
  promisify(execFile)(
    process.execPath,
    ['dist/main.js', 'simulate', '--model', folder.path, '--provider', 'cpu', ...more],
    { env: { ...process.env, MAGMA_VLA_CACHE: `${folder.path}/cache` }, timeout: 100_000 },
  );

describe('simulate', () => {
  it('says with --json what its predictions depend on, and what was refused', async () => {
    const run = await simulate('--episodes', '1', '--longest', '1', '--quiet', '--json');
    const result = JSON.parse(run.stdout.trim().split('\n').at(-1)!) as Record<string, unknown>;
    expect(result['ranWith']).toEqual({
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      provider: 'cpu',
      decoding: 'loop',
    });
    // Random weights write prose: nothing is played, and no trace is read.
    expect(result['latencyMs']).toBeNull();
    expect(result['refusals']).toHaveProperty('malformedAnswer');
    expect(result['traceError']).toMatchObject({ refusedShare: 1, ade: null });
    expect(run.stderr).toContain('no action was played');
  }, 120_000);

  it('takes --statistics, and names those there are where it is another', async () => {
    await expect(simulate('--statistics', 'bridge_orig')).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('got "bridge_orig", expected one of sim'),
    });
  }, 120_000);
});

describe('replay', () => {
  it('ends with 1 where nothing is predicted, and says what was missing', async () => {
    const replay = (bag: string) =>
      promisify(execFile)(process.execPath, [
        ...['dist/main.js', 'replay', bag, '--config', 'config/bridge.yaml'],
        ...['--policy', 'recorded', '--json'],
      ]);
    const whole = await writeBridgeBag(join(folder.path, 'whole.mcap'), { episodes: 1 });
    expect(JSON.parse((await replay(whole)).stdout)).toMatchObject({ nothing: null });
    const silent = Array.from({ length: stepsPerEpisode }, (_, i) => i);
    const poseless = { episodes: 1, silent };
    const bag = await writeBridgeBag(join(folder.path, 'poseless.mcap'), poseless);
    await expect(replay(bag)).rejects.toMatchObject({
      code: 1,
      stdout: expect.stringContaining('"predictions":0'),
      stderr: expect.stringContaining(
        'NOTHING PREDICTED: nobody was asked: the bag has no messages on /ee_pose',
      ),
    });
  }, 120_000);
});

describe('ask', () => {
  it('says of models/nano that it was not trained to answer questions, and ends with 1', async () => {
    const asked = promisify(execFile)(process.execPath, [
      ...[
        'dist/main.js',
        'ask',
        '--model',
        'models/nano',
        '--image',
        'nowhere.png',
        'What is this?',
      ],
    ]);
    await expect(asked).rejects.toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('no question: it was not trained to answer that'),
    });
  });
});
