/** Questions to Magma-8B's own contract and part of its vocabulary; only the network's answers are scripted. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { ModelError } from '../../src/errors.js';
import { drawNumberedBoxes } from '../../src/image/boxes.js';
import { drawMarks } from '../../src/image/marks.js';
import { cropTensor, type CropTensor } from '../../src/image/pixels.js';
import { readContract } from '../../src/model/contract.js';
import { recipeOf } from '../../src/model/pictures.js';
import { Questions, readQuestionParts, type Seen } from '../../src/model/questions.js';
import { parseTokenizer } from '../../src/model/tokenizer.js';
import type { Answer, RgbImage } from '../../src/types.js';
import { nanoFolder } from '../support/randomNano.js';
import { scriptedRuntime } from '../support/scriptedRuntime.js';

const contract = readContract('test/golden/magma8b');
const tokenizer = parseTokenizer(
  readFileSync('test/golden/llama3_subset.json', 'utf8'),
  '{}',
  'llama3_subset.json',
);
const endId = 128009;
const image = 128257;
const rule = { ...contract.recipes['clip']!.canvas, ...contract.recipes['clip']! };

function opened() {
  const script = scriptedRuntime(128261);
  let nowMs = 0;
  const parts = { contract, tokenizer, recipe: recipeOf(contract) };
  return { script, questions: new Questions(parts, script.runtime, () => nowMs++) };
}

function picture(height: number, width: number): RgbImage {
  const data = Uint8Array.from({ length: height * width * 3 }, (_, i) => (i * 37) % 200);
  return { height, width, data };
}

/** Canvas and a checksum of the pixels: millions of numbers are slow to compare one by one. */
function digest({ canvas, pixels }: CropTensor) {
  const sha256 = createHash('sha256').update(new Uint8Array(pixels.buffer)).digest('hex');
  return { canvas, sha256 };
}

function valueOf<T>(answer: Answer<T>): T {
  if (!answer.ok) throw new Error(answer.refusal.message);
  return answer.value;
}

const says = (text: string, end = true): number[] => [
  ...tokenizer.encode(text),
  ...(end ? [endId] : []),
];

describe('a question about a picture', () => {
  it('is answered with the words between prompt and end', async () => {
    const { questions, script } = opened();
    const seen = await questions.lookAt(picture(480, 640));
    script.ids = says(' A robot arm picks a red block.');
    const { answer, timing } = await questions.ask(seen, 'What does the robot do?');
    expect(valueOf(answer)).toEqual({
      text: ' A robot arm picks a red block.',
      isWhole: true,
      confidence: expect.closeTo(0.5, 9),
      tokens: script.ids,
    });
    expect(timing.totalMs).toBeGreaterThan(0);
  });

  it('shows the picture on the canvas of its shape', async () => {
    const { questions, script } = opened();
    const source = picture(480, 640);
    await questions.lookAt(source);
    expect(script.crops.map(digest)).toEqual([digest(cropTensor(source, rule))]);
    expect(script.crops[0]!.canvas).toMatchObject({ rows: 1, cols: 2 });
  });

  it('is put with the picture in its place, up to the contract’s length', async () => {
    const { questions, script } = opened();
    const seen = await questions.lookAt(picture(64, 64));
    script.ids = says('A red block.');
    await questions.ask(seen, 'What does the robot do?');
    await questions.ask(seen, 'What does the robot do?', { maxTokens: 7 });
    const [first, second] = script.requests;
    expect(first!.pictures).toEqual([{ position: 23, visual: seen.visual[0] }]);
    expect(first!.ids[23]).toBe(image);
    expect(first).toMatchObject({ maxTokens: 500, eosIds: [endId] });
    expect(second!.maxTokens).toBe(7);
    // Encoded once for both.
    expect(script.crops).toHaveLength(1);
  });

  it('is told while it is answered, without halves of characters', async () => {
    const { questions, script } = opened();
    const seen = await questions.lookAt(picture(64, 64));
    const bytes = tokenizer.encode('🤖');
    // Four bytes are four tokens of this part of the vocabulary; told four tokens at a time, two of them come late.
    expect(bytes).toHaveLength(4);
    script.ids = [...says('A red', false), ...bytes, ...says(' robot')];
    const told: string[] = [];
    const { answer } = await questions.ask(seen, 'What?', { onText: (text) => told.push(text) });
    expect(told).toEqual(['A red', '🤖 robot']);
    expect(valueOf(answer).text).toBe('A red🤖 robot');
  });

  it('that is cut off says so', async () => {
    const { questions, script } = opened();
    const seen = await questions.lookAt(picture(64, 64));
    script.ids = says('A red', false);
    expect(valueOf((await questions.ask(seen, 'What?')).answer)).toMatchObject({
      text: 'A red',
      isWhole: false,
    });
  });

  it.each([
    ['a picture', [image, endId], `token ${image}`],
    ['an end in the middle', [endId, ...says('A')], `token ${endId}`],
  ])('answered with %s is refused', async (_, ids, message) => {
    const { questions, script } = opened();
    const seen = await questions.lookAt(picture(64, 64));
    script.ids = ids;
    const heard: string[] = [];
    const { answer } = await questions.ask(seen, 'What?', { onText: (text) => heard.push(text) });
    expect(answer).toMatchObject({
      ok: false,
      refusal: { kind: 'malformedAnswer', message: expect.stringContaining(message) },
    });
    expect(heard.join('')).toBe('');
  });

  it('without words is refused', async () => {
    const { questions } = opened();
    const seen = await questions.lookAt(picture(64, 64));
    expect((await questions.ask(seen, ' ')).answer).toMatchObject({
      refusal: { kind: 'badObservation' },
    });
  });
});

describe('several questions', () => {
  it('share the reading of picture and system text; only their words differ', async () => {
    const { questions, script } = opened();
    const looked = await questions.lookAt(picture(64, 64));
    const seen = await questions.remember(looked);
    script.ids = says('A red block.');
    await questions.ask(looked, 'What is this?');
    await questions.ask(seen, 'What is this?');
    await questions.ask(seen, 'Where is it?', { onText: () => undefined });
    const [alone, first, second] = script.requests;
    const [beginning] = script.prefixes;
    expect(script.prefixes).toHaveLength(1);
    expect(beginning!.ids.at(-1)).toBe(image);
    expect(beginning!.pictures).toEqual(alone!.pictures);
    expect([...beginning!.ids, ...first!.ids]).toEqual(alone!.ids);
    expect([first!.pictures, second!.pictures]).toEqual([[], []]);
    expect(second!.ids).not.toEqual(first!.ids);
  });
});

describe('a video', () => {
  it('is every frame in one crop, in order', async () => {
    const { questions, script } = opened();
    const frames = [picture(48, 64), picture(50, 64), picture(40, 80)];
    const seen = await questions.watch(frames);
    expect(seen.visual).toHaveLength(3);
    // Together they are one tower of crops.
    const crops = frames.map((frame) => cropTensor(frame, { ...rule, maxCrops: 1 }).pixels);
    const pixels = new Float32Array(3 * crops[0]!.length);
    crops.forEach((each, k) => pixels.set(each, k * each.length));
    const canvas = { height: 3 * 512, width: 512, rows: 3, cols: 1 };
    expect(script.crops.map(digest)).toEqual([digest({ pixels, canvas })]);
    script.ids = says('A robot arm picks a red block.');
    const { answer } = await questions.ask(seen, 'What does the robot do?');
    expect(valueOf(answer).text).toBe('A robot arm picks a red block.');
    const { ids, pictures } = script.requests[0]!;
    expect(pictures.map(({ position }) => position)).toEqual([23, 27, 31]);
    expect(ids.filter((id) => id === image)).toHaveLength(3);
  });

  it('that no prompt has room for is refused before it is encoded', async () => {
    const { questions, script } = opened();
    // One crop of 512 px is 32 × 32 tokens of 16 px and 32 row separators: 1056; 8 frames in place of 8 of 61 ids are 8501.
    const frames = Array.from({ length: 8 }, () => picture(8, 8));
    await expect(questions.watch(frames)).rejects.toThrow(
      /^pictures: got 8 of 1056 tokens: 8501 positions, expected at most 7693 beside an answer of 500: fewer pictures, or a shorter answer$/,
    );
    await expect(questions.watch(frames.slice(1), 900)).rejects.toThrow(
      /^pictures: got 7 of .* expected at most 7293 beside an answer of 900/,
    );
    expect(script.crops).toEqual([]);
    await questions.watch(frames.slice(1), 500);
    // A canvas of one crop each, in two batches.
    expect(script.crops.map(({ canvas }) => canvas.rows)).toEqual([4, 3]);
  });

  it('of more frames than the contract allows is refused', async () => {
    const { questions } = opened();
    const frames = Array.from({ length: 33 }, () => picture(8, 8));
    await expect(questions.watch(frames)).rejects.toThrow(
      'video, frames: got 33, expected 1 to 32',
    );
  });
});

describe('marks', () => {
  const marks = [
    { id: 1, at: { x: 10, y: 20 } },
    { id: 2, at: { x: 50, y: 30 } },
  ];

  it('are drawn, and located in pixels of the picture', async () => {
    const { questions, script } = opened();
    const source = picture(64, 128);
    const seen = await questions.lookForMarks(source, marks);
    expect(script.crops.map(digest)).toEqual([digest(cropTensor(drawMarks(source, marks), rule))]);
    script.ids = says('Mark 1 at [20,80]. Mark 2 at [100,120]');
    const { answer } = await questions.ask(seen, '');
    // Cells of 128/256 × 64/256 px; their centres.
    expect(valueOf(questions.marksIn(valueOf(answer), seen))).toEqual([
      { id: 1, at: { x: 20.5 / 2, y: 80.5 / 4 } },
      { id: 2, at: { x: 100.5 / 2, y: 120.5 / 4 } },
    ]);
  });

  it.each([
    ['a mark that is not there', says('Mark 3 at [20,80]'), 'got mark 3'],
    ['prose', says('A red block.'), 'location answer, character 0'],
    ['half a sentence', says('Mark 1 at [20', false), 'tokens without the end'],
  ])('located as %s are refused', async (_, ids, message) => {
    const { questions, script } = opened();
    const seen = await questions.lookForMarks(picture(64, 128), marks);
    script.ids = ids;
    const said = valueOf((await questions.ask(seen, '')).answer);
    expect(questions.marksIn(said, seen)).toMatchObject({
      refusal: { kind: 'malformedAnswer', message: expect.stringContaining(message) },
    });
  });

  it.each([
    ['none', [], 'marks: got 0, expected 1 to 19'],
    ['one outside', [{ id: 1, at: { x: 200, y: 1 } }], 'got mark 1 at [200, 1]'],
  ])('are refused where there is %s', async (_, given, message) => {
    const { questions } = opened();
    await expect(questions.lookForMarks(picture(64, 128), given)).rejects.toThrow(message);
  });
});

describe('a screenshot', () => {
  const boxes = [
    { x: 10, y: 20, width: 30, height: 20 },
    { x: 60, y: 20, width: 40, height: 30 },
  ];

  it('has its boxes drawn, and the place to click found in pixels', async () => {
    const { questions, script } = opened();
    const source = picture(100, 200);
    const seen = await questions.lookAtScreen(source, boxes);
    const shown = cropTensor(drawNumberedBoxes(source, boxes), rule);
    expect(script.crops.map(digest)).toEqual([digest(shown)]);
    script.ids = says('Coordinate: (0.17, 0.43). Mark: 1.');
    const { answer } = await questions.ask(seen, 'Go to the top ranked post');
    expect(valueOf(questions.placeIn(valueOf(answer), seen))).toEqual({
      at: { x: expect.closeTo(34, 9), y: expect.closeTo(43, 9) },
      mark: 1,
    });
  });

  it('may have no boxes; then none is named', async () => {
    const { questions, script } = opened();
    const seen: Seen = await questions.lookAtScreen(picture(100, 200), []);
    script.ids = says('Coordinate: (0.17, 0.43).');
    const placed = async () => {
      const { answer } = await questions.ask(seen, 'Go to the top ranked post');
      return questions.placeIn(valueOf(answer), seen);
    };
    expect(valueOf(await placed())).toMatchObject({ mark: null });
    script.ids = says('Coordinate: (0.17, 0.43). Mark: 3.');
    expect(await placed()).toMatchObject({
      refusal: { message: expect.stringContaining('one of the boxes drawn: none') },
    });
  });

  it('with a box outside is refused', async () => {
    const { questions } = opened();
    const outside = [...boxes, { x: 190, y: 0, width: 20, height: 5 }];
    await expect(questions.lookAtScreen(picture(100, 200), outside)).rejects.toThrow(
      'box 2: got 20×5 at [190, 0], expected whole pixels within 200×100',
    );
  });
});

describe('a model that was not trained for questions', () => {
  it('is refused before anything is built, with what it can and what would do', () => {
    const read = () => readQuestionParts(nanoFolder, 'question');
    expect(read).toThrow(ModelError);
    expect(read).toThrow(
      'model nano, prompts: got action, trace, but no question: it was not trained to answer that, ' +
        'expected a model whose model.json has a prompt "question", such as a converted Magma-8B',
    );
  });
});
