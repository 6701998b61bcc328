/** Traces of points: from observation to prediction; only the network's answers are scripted. */
import { describe, expect, it } from '@jest/globals';
import { drawMarks } from '../../src/image/marks.js';
import { idsFromText } from '../../src/model/answerText.js';
import {
  contract,
  endId,
  observed,
  opened,
  picture,
  rawFrame,
  tokenizer,
} from '../support/predicting.js';

const goOn = (): Promise<null> => Promise.resolve(null);
const marks = [
  { id: 1, at: { x: 32.5, y: 64 } },
  { id: 2, at: { x: 100, y: 20 } },
];

const future = (x: number): string =>
  Array.from({ length: 8 }, (_, i) => `[${x + i},${10 + i}]`).join(',');
const bothMove =
  'Mark 1 at [65,128], Mark 2 at [200,40] should be moved, and their future positions are:\n\n' +
  `"Mark 1": "[${future(70)}]"\n\n"Mark 2": "[${future(190)}]"\n\n`;

describe('a trace', () => {
  it('is the text’s cells in pixels of the source picture', async () => {
    const { predictor, script } = opened();
    script.ids = idsFromText(bothMove, tokenizer, endId);
    const wide = observed({ images: { front: rawFrame(picture(480, 640)) } });
    const question = { camera: 'front', marks };
    const { answer } = await predictor.predictTrace(wide, question, goOn);
    if (!answer.ok) throw new Error(answer.refusal.message);
    const { traces, ...others } = answer.value;
    expect(others).toMatchObject({
      observationStampNs: 5n,
      episode: 3,
      camera: 'front',
      stepPeriodNs: 200_000_000n,
      marks,
      confidence: expect.closeTo(0.5, 9),
    });
    // Cell (65, 128) of 256 has its centre at (65.5 · 640/256, 128.5 · 480/256).
    expect(traces[0]!.start).toEqual({ x: 163.75, y: 240.9375 });
    expect(traces[1]!.future[7]).toEqual({ x: 197.5 * 2.5, y: 17.5 * 1.875 });
    expect(traces.map(({ future: points }) => points.length)).toEqual([8, 8]);
  });

  it('is asked for about the picture with the marks drawn, in slices', async () => {
    const { predictor, script } = opened({ sliceTokens: 10 });
    script.ids = idsFromText(bothMove, tokenizer, endId);
    let pauses = 0;
    const pause = (): Promise<null> => {
      pauses++;
      return Promise.resolve(null);
    };
    await predictor.predictTrace(observed(), { camera: 'front', marks }, pause);
    const { ids, maxTokens, eosIds } = script.requests[0]!;
    expect(tokenizer.decode(ids.slice(4))).toBe(
      '\nThe image is labeled with numeric marks 1 at [65,128], 2 at [200,40]. To pick the red block, how to move the marks for the next 8 steps?',
    );
    expect({ maxTokens, eosIds }).toEqual({ maxTokens: 512, eosIds: [endId] });
    // After decoding, before each slice, and before the generator is found to be done.
    expect(pauses).toBe(1 + Math.ceil(script.ids.length / 10) + 1);
    const drawn = drawMarks(picture(), marks);
    await predictor.predictAction(observed({ images: { front: rawFrame(drawn) } }));
    expect(script.crops[0]!.pixels).toEqual(script.crops[1]!.pixels);
  });

  it('is about interest points where the caller has no marks', async () => {
    const { predictor, script } = opened();
    script.ids = idsFromText('No mark should be moved.\n', tokenizer, endId);
    const question = { camera: 'front', marks: [] };
    const { answer } = await predictor.predictTrace(observed(), question, goOn);
    expect(answer).toMatchObject({ ok: true, value: { traces: [] } });
    const count = answer.ok ? answer.value.marks.length : 0;
    expect(count).toBeGreaterThanOrEqual(contract.answers.trace!.marks.min);
    expect(count).toBeLessThanOrEqual(contract.answers.trace!.marks.max);
  });

  it('ends with the refusal of a pause', async () => {
    const { predictor, script } = opened();
    script.ids = idsFromText(bothMove, tokenizer, endId);
    let pauses = 0;
    const refusal = { kind: 'preempted', message: 'enough' } as const;
    const pause = () => Promise.resolve(++pauses === 4 ? refusal : null);
    const question = { camera: 'front', marks };
    const { answer } = await predictor.predictTrace(observed(), question, pause);
    expect(answer).toEqual({ ok: false, refusal });
    expect(pauses).toBe(4);
  });

  it.each<[string, string, string]>([
    ['prose', 'The block should go left.', 'character 0'],
    ['about a mark that was not drawn', bothMove.replaceAll('Mark 2', 'Mark 3'), 'got mark 3'],
    ['cut short', bothMove.slice(0, -20), 'got'],
  ])('is refused where the answer is %s', async (_name, text, message) => {
    const { predictor, script } = opened();
    script.ids = idsFromText(text, tokenizer, endId);
    const question = { camera: 'front', marks };
    expect((await predictor.predictTrace(observed(), question, goOn)).answer).toMatchObject({
      ok: false,
      refusal: { kind: 'malformedAnswer', message: expect.stringContaining(message) },
    });
  });

  it.each([
    [
      'of a camera the model does not see marks on',
      { camera: 'wrist', marks },
      'got wrist, expected front',
    ],
    [
      'of a mark beside the picture',
      { camera: 'front', marks: [{ id: 1, at: { x: 128, y: 5 } }] },
      'got mark 1 at [128, 5], expected a point of 128×128 px',
    ],
    ['of one mark twice', { camera: 'front', marks: [marks[0]!, marks[0]!] }, 'got 1, 1'],
  ])('is refused where it is asked %s', async (_name, question, message) => {
    const { predictor } = opened();
    expect((await predictor.predictTrace(observed(), question, goOn)).answer).toMatchObject({
      ok: false,
      refusal: { kind: 'badObservation', message: expect.stringContaining(message) },
    });
  });

  it('is refused where the model has none', async () => {
    const prompts = { action: contract.prompts.action };
    const answers = { action: contract.answers.action };
    const { predictor } = opened({}, { contract: { ...contract, prompts, answers } });
    const question = { camera: 'front', marks };
    expect((await predictor.predictTrace(observed(), question, goOn)).answer).toMatchObject({
      refusal: { kind: 'badObservation', message: expect.stringContaining('it has no traces') },
    });
  });
});
