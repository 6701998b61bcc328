/** The benchmark's own parts, and one short run: its figures are figures, whatever this machine is busy with. */
import { afterAll, describe, expect, it } from '@jest/globals';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runBench } from '../../src/bench/bench.js';
import { BenchRobot } from '../../src/bench/benchRobot.js';
import { makeCameras } from '../../src/bench/cameras.js';
import { MeasuredPolicy } from '../../src/bench/measuredPolicy.js';
import { readArm } from '../../src/commands/arm.js';
import { benchTable } from '../../src/commands/benchTable.js';
import { realClock } from '../../src/commands/clock.js';
import { convert } from '../../src/commands/convert.js';
import { readConfig } from '../../src/config.js';
import { decodeImage } from '../../src/image/codec.js';
import type { ModelClient } from '../../src/model/client.js';
import { home } from '../../src/robot/sim/world.js';
import type { Answer, ArmCommand, Observation, Timing } from '../../src/types.js';
import { writeRandomNano } from '../support/randomNano.js';
import { temporaryFolder } from '../support/tinyMagma.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const config = readConfig(fileURLToPath(new URL('../../config/sim.yaml', import.meta.url)));

describe('the benchmark', () => {
  it('measures rates, latencies, jitter, stages and memory of one run, of a converted model', async () => {
    const [source, model] = [join(folder.path, 'nano'), join(folder.path, 'model')];
    mkdirSync(source);
    writeRandomNano(source, 3);
    const format = { weights: 'int8', block: 32, accuracyLevel: 4 } as const;
    await convert(source, { out: model, ...format }, { onProgress: () => undefined });
    const { arm, capsules } = readArm(config)!;
    const sentences: string[] = [];
    const result = await runBench({
      model,
      cache: `${folder.path}/cache`,
      config,
      arm,
      capsules,
      home,
      clock: realClock,
      provider: 'cpu',
      threads: 1,
      sliceTokens: 16,
      seconds: 1,
      modelCamera: 'vga1',
      onProgress: (sentence) => sentences.push(sentence),
    });
    expect(result.answerTokens.action).toBe(8);
    expect(result.actionsPerSecond).toBeGreaterThan(0);
    // A machine that is busy with other things may not get a trace done in a second.
    expect(result.stages.trace !== null).toBe(result.tracesPerSecond > 0);
    expect(result.alone.tracesPerSecond).toBe(0);
    expect(result.controlJitterMs.max).toBeGreaterThanOrEqual(result.controlJitterMs.p50);
    // A second of 50 Hz, twice: too few for a p99 of either.
    expect(result.controlJitterMs.p99).toBeNull();
    expect(result.actionP99Ratio).toBeNull();
    expect(benchTable(result)).toMatch(/ actions\/s \(p50 .* ms, max .* jitter max .* ms, /);
    expect(benchTable(result)).not.toMatch(/p99 \d/);
    expect(result.missedTicks).toBe(result.alone.missedTicks + result.withTraces.missedTicks);
    expect(result.stages.action!.generateMs.p50).toBeGreaterThan(0);
    expect(result.stages.action!.totalMs.p50).toBeGreaterThan(result.stages.action!.visionMs.p50);
    expect(result.decoding.speedUp).toBeGreaterThan(0);
    expect(result.rssMb).toBeGreaterThan(50);
    expect(result.withTraces.failures).toEqual({});
    expect(sentences).toContain('actions alone for 1 s');
    expect(() => JSON.stringify(result)).not.toThrow();
  }, 120_000);
});

describe('a model without traces', () => {
  it('is refused with what measures it', async () => {
    const { arm, capsules } = readArm(config)!;
    const asked = runBench({
      ...{ model: 'test/golden/openvla', cache: folder.path, config, arm, capsules, home },
      ...{ clock: realClock, provider: 'cpu', threads: 1, sliceTokens: 16, seconds: 1 },
      modelCamera: 'vga1',
    });
    await expect(asked).rejects.toThrow('expected one with traces; bench --synthetic measures');
  });
});

describe('its cameras', () => {
  it('are one of 1080p and two of VGA, and send the same frames every time', async () => {
    const [once, again] = [await makeCameras(), await makeCameras()];
    expect(once.map(({ height, width, rateHz }) => [height, width, rateHz])).toEqual([
      [1080, 1920, 30],
      [480, 640, 30],
      [480, 640, 30],
    ]);
    const bytes = (cameras: typeof once) =>
      cameras.flatMap(({ frames }) => frames.map((frame) => Buffer.from(frame)));
    expect(bytes(again).every((frame, i) => frame.equals(bytes(once)[i]!))).toBe(true);
    const frame = await decodeImage(once[1]!.frames[0]!, 'frame');
    expect([frame.height, frame.width]).toEqual([480, 640]);
    expect(bytes(once)[0]!.equals(bytes(once)[1]!)).toBe(false);
  }, 60_000);
});

const timing: Timing = {
  decodeMs: 4,
  preprocessMs: 0,
  visionMs: 0,
  generateMs: 6,
  totalMs: 10,
};
const observation: Observation = {
  stampNs: 9n,
  episode: 2,
  instruction: 'go',
  images: {},
  joints: null,
  endEffector: null,
  gripper: null,
};

describe('its policy', () => {
  const answering = (answer: Answer<never>): ModelClient =>
    ({
      timings: { action: timing, trace: timing },
      requestAction: () => Promise.resolve(answer),
      requestTrace: () => Promise.resolve(answer),
    }) as unknown as ModelClient;
  const refused = (kind: 'malformedAnswer' | 'deadline') =>
    new MeasuredPolicy(answering({ ok: false, refusal: { kind, message: '' } }), 'base_link');

  it('counts an answer that is no sentence, and moves the arm by 4 mm instead', async () => {
    const policy = refused('malformedAnswer');
    const answer = await policy.requestAction(observation, 100);
    expect(answer).toMatchObject({
      ok: true,
      value: { observationStampNs: 9n, episode: 2, chunk: { frameId: 'base_link' } },
    });
    const chunk = answer.ok ? answer.value.chunk : null;
    expect(chunk?.kind === 'endEffectorDelta' && chunk.steps[0]!.translation).toEqual([
      0, 0.004, 0,
    ]);
    expect(policy.counts).toEqual({ actions: 1, traces: 0 });
    expect(policy.stages('action')).toMatchObject({ decodeMs: { count: 1, p50: 4, max: 4 } });
    expect(policy.stages('trace')).toBeNull();
  });

  it('counts no missed deadline as an answer', async () => {
    const policy = refused('deadline');
    expect((await policy.requestAction(observation, 100)).ok).toBe(false);
    await policy.requestTrace(observation, { camera: 'front', marks: [] }, 100);
    expect(policy.counts).toEqual({ actions: 0, traces: 0 });
    expect(policy.failures).toEqual({ deadline: 2 });
  });
});

describe('its arm', () => {
  it('takes no command that the guard did not make', () => {
    const robot = new BenchRobot({
      clock: realClock,
      cameras: [],
      jointNames: ['a'],
      position: [0],
      instruction: 'go',
    });
    const forged = { kind: 'joint', nowNs: 0n, names: ['a'], position: [1], velocity: [0] };
    expect(() => robot.send(forged as unknown as ArmCommand)).toThrow('the guard did not make');
  });
});
