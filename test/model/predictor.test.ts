/** From observation to prediction with nano's own contract and tokenizer; only the network's answers are scripted. */
import { describe, expect, it } from '@jest/globals';
import { InputError, ModelError } from '../../src/errors.js';
import { encodeJpeg } from '../../src/image/codec.js';
import { idsFromText } from '../../src/model/answerText.js';
import { idsFromDeltas } from '../../src/model/actionUnits.js';
import { Predictor, readModelParts, type ModelParts } from '../../src/model/predictor.js';
import { warmUp } from '../../src/model/warmUp.js';
import type { Observation } from '../../src/types.js';
import {
  contract,
  decoding,
  endId,
  observed,
  opened,
  parts,
  picture,
  rawFrame,
  settings,
  tokenizer,
} from '../support/predicting.js';
import { scriptedRuntime } from '../support/scriptedRuntime.js';

const delta = {
  translation: [0.02, -0.01, 0.05],
  rotation: [0, 0, 0.1],
  gripper: 1,
} as const;

/** nano's parts with this calibration of its actions, or with none. */
function calibratedBy(calibration?: readonly (readonly [number, number])[]): Partial<ModelParts> {
  const action = { ...contract.answers.action, ...(calibration && { calibration }) };
  if (!calibration) Reflect.deleteProperty(action, 'calibration');
  return { contract: { ...contract, answers: { ...contract.answers, action } } };
}

describe('an action', () => {
  it('is the delta that the ids stand for, within half a bin', async () => {
    const { predictor, script } = opened();
    script.ids = idsFromDeltas([delta], decoding);
    const { answer, timing } = await predictor.predictAction(observed());
    if (!answer.ok) throw new Error(answer.refusal.message);
    const { chunk, ...others } = answer.value;
    expect(others).toMatchObject({ observationStampNs: 5n, episode: 3 });
    expect(chunk).toMatchObject({
      kind: 'endEffectorDelta',
      frameId: 'base_link',
      stepPeriodNs: 200_000_000n,
      reference: 'observedPose',
      composition: 'base',
    });
    // A bin is 2/255 of the half range, which is 0.05 m.
    const step = chunk.kind === 'endEffectorDelta' ? chunk.steps[0]! : null;
    [0.02, -0.01, 0.05].forEach((value, i) =>
      expect(Math.abs(step!.translation[i]! - value)).toBeLessThanOrEqual(0.05 / 255 + 1e-9),
    );
    expect(timing.totalMs).toBeGreaterThan(0);
  });

  it('is as sure as the geometric mean of its tokens, and says how much of it lies on actions', async () => {
    const { predictor, script } = opened({}, calibratedBy());
    script.ids = idsFromDeltas([delta], decoding);
    script.logProbability = Math.log(0.25);
    const { answer } = await predictor.predictAction(observed());
    // Masses 1, 0.99 … 0.94 for the seven action tokens, 0.93 for the end.
    expect(answer).toMatchObject({
      value: { confidence: expect.closeTo(0.25, 9), actionMass: expect.closeTo(0.94, 9) },
    });
  });

  it('is as sure as the contract’s calibration makes of that: 0.25 lies half-way between its knots', async () => {
    const table = calibratedBy([
      [0.2, 0.4],
      [0.3, 0.9],
    ]);
    const { predictor, script } = opened({}, table);
    script.ids = idsFromDeltas([delta], decoding);
    script.logProbability = Math.log(0.25);
    const { answer } = await predictor.predictAction(observed());
    expect(answer).toMatchObject({
      value: { confidence: expect.closeTo(0.65, 9), uncalibrated: expect.closeTo(0.25, 9) },
    });
  });

  it('is asked for with the picture, the instruction and the state', async () => {
    const { predictor, script } = opened();
    script.ids = idsFromDeltas([delta], decoding);
    await predictor.predictAction(observed());
    const { ids, pictures, maxTokens, eosIds, actionIds } = script.requests[0]!;
    expect(pictures.map(({ position }) => ids[position])).toEqual([tokenizer.idOf('<image>')]);
    expect(tokenizer.decode(ids.slice(4, -5))).toBe(
      '\nWhat action should the robot take to pick the red block?',
    );
    // x and y lie in the middle of their ranges, the gripper is fully open.
    const [x, y, , , gripper] = ids.slice(-5);
    expect([x, y, gripper]).toEqual([1008 - 128, 1008 - 128, 1008 - 256]);
    expect({ maxTokens, eosIds, actionIds }).toEqual({
      maxTokens: 8,
      eosIds: [endId],
      actionIds: { first: 752, end: 1008 },
    });
    expect(script.crops[0]!.canvas).toEqual({ height: 128, width: 128, rows: 1, cols: 1 });
  });

  it('sees a JPEG as it sees the decoder’s pixels', async () => {
    const { predictor, script } = opened();
    const data = await encodeJpeg({ ...picture(), data: picture().data.fill(128) }, 100);
    const frame = { kind: 'compressed', stampNs: 5n, frameId: 'f', format: 'jpeg', data } as const;
    await predictor.predictAction(observed({ images: { front: frame } }));
    const grey = { ...picture(), data: picture().data.fill(128) };
    await predictor.predictAction(observed({ images: { front: rawFrame(grey) } }));
    expect(script.crops[0]!.pixels).toEqual(script.crops[1]!.pixels);
  });

  it.each([
    [
      'prose',
      idsFromText('I cannot do that.', tokenizer, endId),
      'which is no action, at position 0',
    ],
    ['too short', [760, 760, 760, endId], 'got the end at position 3'],
    ['without an end', Array.from({ length: 8 }, () => 760), 'token 760 instead of the end'],
    ['empty', [], 'only 0 tokens'],
  ])('is refused where the answer is %s', async (_name, ids, message) => {
    const { predictor, script } = opened();
    script.ids = ids;
    const { answer } = await predictor.predictAction(observed());
    expect(answer).toMatchObject({
      ok: false,
      refusal: { kind: 'malformedAnswer', message: expect.stringContaining(message) },
    });
  });

  it('is refused where its probability is no number', async () => {
    const { predictor, script } = opened();
    script.ids = idsFromDeltas([delta], decoding);
    script.logProbability = NaN;
    expect((await predictor.predictAction(observed())).answer).toMatchObject({
      refusal: { kind: 'malformedAnswer', message: 'confidence: got NaN, expected a probability' },
    });
  });

  it.each<[string, Partial<Observation>, string]>([
    ['the pose is not known', { endEffector: null }, 'robot state x: got nothing'],
    ['the gripper is not known', { gripper: null }, 'robot state gripper: got nothing'],
    ['there is no instruction', { instruction: ' . ' }, 'prompt: got no instruction'],
    [
      'the camera is missing',
      { images: { wrist: rawFrame(picture()) } },
      'an image of camera front',
    ],
    [
      'the picture is damaged',
      {
        images: {
          front: {
            kind: 'compressed',
            stampNs: 5n,
            frameId: 'f',
            format: 'jpeg',
            data: Uint8Array.of(0xff, 0xd8, 0xff, 0xe0, 1, 2, 3),
          },
        },
      },
      'camera front (format jpeg): got a jpeg of 7 bytes that does not decode',
    ],
    [
      'the pose is in another frame',
      { endEffector: { ...observed().endEffector!, frameId: 'world' } },
      'end effector, frame: got world, expected base_link',
    ],
  ])('is refused where %s', async (_name, more, message) => {
    const { predictor, script } = opened();
    script.ids = idsFromDeltas([delta], decoding);
    expect((await predictor.predictAction(observed(more))).answer).toMatchObject({
      ok: false,
      refusal: { kind: 'badObservation', message: expect.stringContaining(message) },
    });
  });

  it('is refused where the instruction is too long for the model', async () => {
    const { predictor, script } = opened();
    const tooLong = new InputError('prompt, length', '2000 positions and 8 tokens', 'at most 1024');
    script.runtime.generator.generate = () => Promise.reject(tooLong);
    expect((await predictor.predictAction(observed())).answer).toMatchObject({
      ok: false,
      refusal: { kind: 'badObservation', message: tooLong.message },
    });
  });

  it('is thrown out of where the model is broken: no observation is to blame', async () => {
    const { predictor, script } = opened();
    const broken = new ModelError('scores of a token', 'NaN', 'a number');
    script.runtime.generator.generate = () => Promise.reject(broken);
    await expect(predictor.predictAction(observed())).rejects.toBe(broken);
    script.runtime.vision.encode = () => Promise.reject(broken);
    const question = { camera: 'front', marks: [{ id: 1, at: { x: 32.5, y: 64 } }] };
    const goOn = () => Promise.resolve(null);
    await expect(predictor.predictTrace(observed(), question, goOn)).rejects.toBe(broken);
  });

  it('lets anything else that is thrown through: that is a bug', async () => {
    const { predictor, script } = opened();
    script.runtime.generator.generate = () => Promise.reject(new Error('device lost'));
    await expect(predictor.predictAction(observed())).rejects.toThrow('device lost');
  });

  it('has exactly as many tokens as asked for where speed is measured', async () => {
    const { predictor, script } = opened({ fixedLength: { action: 8, trace: 130 } });
    await predictor.predictAction(observed());
    expect(script.requests[0]).toMatchObject({ maxTokens: 8, eosIds: [] });
  });
});

describe('the warm-up', () => {
  it('is content with any answer, also with prose', async () => {
    const { predictor, script } = opened();
    script.ids = idsFromText('I cannot do that. '.repeat(20), tokenizer, endId);
    await warmUp(predictor, 'base_link');
    // An action, and a trace.
    expect(script.requests).toHaveLength(2);
  });

  it.each(['generator', 'vision'])('fails with a broken %s', async (part) => {
    const { predictor, script } = opened();
    const broken = new ModelError(part, 'NaN', 'numbers');
    if (part === 'vision') script.runtime.vision.encode = () => Promise.reject(broken);
    else script.runtime.generator.generate = () => Promise.reject(broken);
    await expect(warmUp(predictor, 'base_link')).rejects.toBe(broken);
  });

  it('fails where the model has no room for its own prompt', async () => {
    const { predictor, script } = opened();
    const tooLong = new InputError('prompt, length', '90 positions and 8 tokens', 'at most 64');
    script.runtime.generator.generate = () => Promise.reject(tooLong);
    const message = /^warm-up, action: got prompt, length: .* an answer to a made-up observation$/;
    const warmed = warmUp(predictor, 'base_link');
    await expect(warmed).rejects.toThrow(ModelError);
    await expect(warmed).rejects.toThrow(message);
  });
});

describe('a model folder', () => {
  it('is refused with statistics it does not have, and names those it has', () => {
    expect(() => readModelParts({ ...settings, statistics: 'bridge_orig' })).toThrow(
      'statistics of nano: got "bridge_orig", expected one of sim',
    );
  });

  it.each<[Record<string, string>, string]>([
    [{}, 'picture "primary": got no camera, expected one camera with modelKey: primary'],
    [{ a: 'primary', b: 'primary' }, 'picture "primary": got a, b, expected one camera'],
  ])('is refused with cameras %j', (cameras, message) => {
    expect(() => readModelParts({ ...settings, cameras })).toThrow(message);
  });

  it.each([0, 17, 1.5])('is refused with slices of %d tokens', (sliceTokens) => {
    expect(() => readModelParts({ ...settings, sliceTokens })).toThrow('expected 1 to 16');
  });

  it('is refused with graphs of a smaller vocabulary', () => {
    const { runtime } = scriptedRuntime(1009);
    expect(() => new Predictor(parts, runtime, settings, () => 0)).toThrow(
      'vocabulary: got 1009, expected more than 1009',
    );
  });
});
