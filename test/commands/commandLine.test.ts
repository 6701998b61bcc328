/** The built command line, as a person runs it, on nano with random weights. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
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
