/** `ask` from picture to answer, on a tiny model with random weights whose contract has the prompts of questions. */
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { addAskCommand, requestFrom } from '../../src/askCommand.js';
import { ask, type AskRequest, type AskResult } from '../../src/commands/ask.js';
import { answeredPicture, answerLines } from '../../src/commands/askAnswers.js';
import { boxesFrom, pointsFrom } from '../../src/commands/askMarks.js';
import { readMany, readOne } from '../../src/commands/askPictures.js';
import { ConfigError, DataError, ModelError } from '../../src/errors.js';
import { decodeImage, encodePng } from '../../src/image/codec.js';
import type { RgbImage } from '../../src/types.js';
import { bridge, writeBridgeBag } from '../support/bridgeBag.js';
import { nanoFolder, writeRandomNano } from '../support/randomNano.js';
import { temporaryFolder } from '../support/tinyMagma.js';

const folder = temporaryFolder();
const model = join(folder.path, 'model');
const picturePath = join(folder.path, 'picture.png');
const framesPath = join(folder.path, 'frames');
const bagPath = join(folder.path, 'bag.mcap');
const noise = (seed: number): RgbImage => ({
  ...{ height: 60, width: 80 },
  data: Uint8Array.from({ length: 60 * 80 * 3 }, (_, i) => (i * (37 + seed)) % 251),
});

/** nano's sizes and words, and one prompt of every kind. */
function addQuestions(path: string): void {
  const contract = JSON.parse(readFileSync(path, 'utf8')) as {
    prompts: Record<string, unknown>;
    answers: Record<string, unknown>;
  };
  const start = [{ token: '<image_start>' }];
  const end = [{ token: '<image_end>' }, { text: '\n' }];
  const shown = (more: object = {}) => [...start, { image: 'picture', ...more }, ...end];
  const words = { instruction: 'asGiven' };
  const prompts = {
    question: [...shown(), words],
    video: [{ frames: shown({ maxCrops: 1 }) }, words],
    location: [...shown({ marks: 'drawn' }), { text: 'where are the marks' }],
    interface: [...shown({ marks: 'boxes' }), words],
  };
  for (const [kind, segments] of Object.entries(prompts))
    contract.prompts[kind] = { bos: 1, segments };
  Object.assign(contract.answers, {
    question: { maxTokens: 24 },
    video: { frames: { max: 4 }, maxTokens: 24 },
    location: { grammar: 'magma', grid: 64, marks: { min: 1, max: 9 }, maxTokens: 24 },
    interface: { grammar: 'magma', marks: { max: 9 }, maxTokens: 24 },
  });
  writeFileSync(path, JSON.stringify(contract));
}

beforeAll(async () => {
  mkdirSync(model);
  mkdirSync(framesPath);
  writeRandomNano(model, 11);
  addQuestions(join(model, 'model.json'));
  writeFileSync(picturePath, await encodePng(noise(0)));
  for (const k of [1, 2, 10, 11])
    writeFileSync(join(framesPath, `${k}.png`), await encodePng(noise(k)));
  await writeBridgeBag(bagPath, { picture: await encodePng(noise(0)) });
});
afterAll(() => folder.remove());

const request = (more: Partial<AskRequest> = {}): AskRequest => ({
  ...{ folder: model, cache: join(folder.path, 'cache'), provider: 'cpu', threads: 1 },
  source: { kind: 'file', path: picturePath },
  wanted: { kind: 'question' },
  questions: ['pick the red block'],
  nowMs: () => performance.now(),
  say: () => undefined,
  ...more,
});

/** Random weights seldom end an answer: it is cut off, and its words are what they are. */
const textOf = ({ answers }: AskResult, at = 0): string => {
  const { said, refused } = answers[at]!;
  if (!said) throw new Error(refused!);
  return said.text;
};

describe('a question', () => {
  it('about a picture is answered with the words of the model, the same every time', async () => {
    const told: string[] = [];
    const { result } = await ask(request({ onText: (text) => told.push(text) }));
    const again = await ask(request());
    expect(result).toMatchObject({
      model: 'nano',
      kind: 'question',
      pictures: [picturePath],
      ranWith: { provider: 'cpu', decoding: 'loop' },
      answers: [{ question: 'pick the red block', said: { tokens: 24 }, refused: null }],
    });
    expect(textOf(result)).not.toBe('');
    expect(textOf(again.result)).toBe(textOf(result));
    // Told in pieces, all of it.
    expect(told.length).toBeGreaterThan(3);
    expect(told.join('').trim()).toBe(textOf(result));
  });

  it('is answered alike alone and among others', async () => {
    const questions = ['pick the red block', 'put it on the pad', 'pick the red block'];
    const { result } = await ask(request({ questions }));
    const streamed = await ask(request({ questions, onText: () => undefined }));
    const alone = await ask(request({ questions: [questions[1]!] }));
    expect(textOf(result, 1)).toBe(textOf(alone.result));
    expect(textOf(result, 2)).toBe(textOf(result, 0));
    expect(textOf(result, 1)).not.toBe(textOf(result, 0));
    expect(streamed.result.answers.map(({ said }) => said)).toEqual(
      result.answers.map(({ said }) => said),
    );
  });

  it('about a frame of a bag is answered as about the same picture in a file', async () => {
    const { result } = await ask(request({ source: { kind: 'bag', path: bagPath, at: 0.5 } }));
    const file = await ask(request());
    expect(textOf(result)).toBe(textOf(file.result));
    expect(result.pictures).toEqual([`${bridge.cameras['camera_0']!.topic} at 0.40 s`]);
  });

  it('about a video shows its frames in order', async () => {
    const video = { kind: 'video', frames: 3 } as const;
    const asked = request({ source: { kind: 'file', path: framesPath }, wanted: video });
    const { result } = await ask(asked);
    expect(result.pictures.map((name) => name.slice(framesPath.length))).toEqual([
      '/1.png',
      '/2.png',
      '/11.png',
    ]);
    expect(textOf(result)).not.toBe('');
    const { result: bag } = await ask(
      request({ source: { kind: 'bag', path: bagPath }, wanted: video }),
    );
    // The bag's frames are one picture three times: another question than one picture.
    expect(bag.pictures).toHaveLength(3);
  });

  it('of more frames than the model takes is an error', async () => {
    const wanted = { kind: 'video', frames: 12 } as const;
    const asked = ask(request({ source: { kind: 'bag', path: bagPath }, wanted }));
    await expect(asked).rejects.toThrow('--frames: got 12, expected at most 4 for this model');
  });

  it('that does not fit is refused, and the next one is answered', async () => {
    const questions = ['pick '.repeat(3000), 'pick the red block'];
    const { result } = await ask(request({ questions }));
    expect(result.answers.map(({ said }) => said !== null)).toEqual([false, true]);
    expect(answerLines(result.answers[0]!)[0]).toMatch(
      /^refused: prompt, length: got \d+ positions/,
    );
  });
});

describe('marks and screens', () => {
  it('get what is drawn before the model is asked; prose of the model is refused', async () => {
    const wanted = { kind: 'location', marks: '10,20;40,30' } as const;
    const { result, picture } = await ask(request({ wanted, questions: [''] }));
    expect(result.marks).toEqual([
      { id: 1, at: { x: 10, y: 20 } },
      { id: 2, at: { x: 40, y: 30 } },
    ]);
    // What it said is kept beside the reason.
    expect(result.answers[0]).toMatchObject({
      said: { isWhole: false },
      refused: 'answer: got 24 tokens without the end, expected the end',
    });
    expect(picture).toEqual(noise(0));
    const corners = await ask(request({ wanted: { kind: 'location' }, questions: [''] }));
    expect(corners.result.marks.length).toBeGreaterThan(0);
    const screen = { kind: 'interface', marks: '10,10,20,20' } as const;
    const { result: asked } = await ask(request({ wanted: screen }));
    expect(asked.boxes).toEqual([{ x: 10, y: 10, width: 20, height: 20 }]);
    expect(asked.answers[0]!.refused).not.toBeNull();
  });

  it('are drawn back into a copy of the picture', () => {
    const source = { height: 60, width: 80, data: new Uint8Array(60 * 80 * 3) };
    const said = { text: 'There.', isWhole: true, confidence: 1, tokens: 3 };
    const box = { x: 10, y: 10, width: 30, height: 20 };
    const asked = { question: 'q', ms: 7.6 };
    const result: AskResult = {
      model: 'm',
      ranWith: { sha256: '', provider: 'cpu', decoding: 'loop' },
      ...{ kind: 'interface', pictures: ['p'], picturesMs: 1, marks: [], boxes: [box] },
      answers: [
        { ...asked, said, refused: null, place: { at: { x: 60, y: 40 }, mark: 0, box } },
        { ...asked, said: null, refused: 'too long' },
        { ...asked, said: { ...said, isWhole: false }, refused: 'prose' },
      ],
    };
    const drawn = answeredPicture(source, result);
    const at = (x: number, y: number) => [
      ...drawn.data.slice((y * 80 + x) * 3, (y * 80 + x) * 3 + 3),
    ];
    // The first answer's colour on the box's edge and on the ring of 6 px around the place; nothing elsewhere.
    expect(at(25, 10)).toEqual([255, 214, 10]);
    expect(at(66, 40)[0]).toBeGreaterThan(200);
    expect(at(75, 5)).toEqual([0, 0, 0]);
    expect(source.data.every((value) => value === 0)).toBe(true);
    expect(answerLines(result.answers[0]!)).toEqual([
      'There.',
      '  click at [60, 40] px, box 0',
      '  (3 tokens in 8 ms, confidence 1.00)',
    ]);
    expect(answerLines(result.answers[1]!)).toEqual(['refused: too long']);
    expect(answerLines(result.answers[2]!).slice(0, 3)).toEqual([
      'There.',
      '(cut off after 3 tokens: --max-tokens)',
      'refused: prose',
    ]);
  });
});

describe('a model that was not trained to answer', () => {
  it('says so before a picture is read or a graph is built', async () => {
    const asked = ask(request({ folder: nanoFolder, source: { kind: 'file', path: '/nowhere' } }));
    await expect(asked).rejects.toThrow(ModelError);
    await expect(asked).rejects.toThrow('no question: it was not trained to answer that');
  });
});

describe('pictures', () => {
  it('are decoded as they are stored', async () => {
    const { image } = await readOne({ kind: 'file', path: picturePath });
    expect(image).toEqual(noise(0));
    const frames = await readMany({ kind: 'file', path: framesPath }, 2);
    expect(frames.map((frame) => frame.image)).toEqual([noise(1), noise(11)]);
    expect(await readMany({ kind: 'file', path: picturePath }, 8)).toHaveLength(1);
  });

  it.each([
    [
      'a file that is not there',
      () => readOne({ kind: 'file', path: '/nowhere.png' }),
      DataError,
      'ENOENT',
    ],
    [
      'a folder for one picture',
      () => readOne({ kind: 'file', path: framesPath }),
      ConfigError,
      '--video',
    ],
    [
      'a video for one picture',
      () => readOne({ kind: 'file', path: bagPath }),
      ConfigError,
      '--video',
    ],
    [
      'a folder without pictures',
      () => readMany({ kind: 'file', path: model }, 4),
      DataError,
      'no .jpg or .png',
    ],
    [
      'a topic that is not there',
      () => readOne({ kind: 'bag', path: bagPath, camera: '/x' }),
      DataError,
      'got /x',
    ],
    ['no bag', () => readOne({ kind: 'bag', path: picturePath }), DataError, 'picture.png'],
  ])('from %s are refused', async (_, read, type, message) => {
    await expect(read()).rejects.toThrow(type);
    await expect(read()).rejects.toThrow(message);
  });
});

describe('--marks', () => {
  it('are boxes and points, on the command line or in a file', () => {
    const file = join(folder.path, 'boxes.json');
    writeFileSync(file, '[[1, 2, 3, 4], [5, 6, 7, 8]]');
    const boxes = [
      { x: 1, y: 2, width: 3, height: 4 },
      { x: 5, y: 6, width: 7, height: 8 },
    ];
    expect(boxesFrom('1,2,3,4; 5,6,7,8;')).toEqual(boxes);
    expect(boxesFrom(file)).toEqual(boxes);
    expect(pointsFrom('1,2.5')).toEqual([{ id: 1, at: { x: 1, y: 2.5 } }]);
  });

  it.each([
    ['three numbers', '1,2,3', '--marks: mark 0: got 1,2,3, expected x,y,width,height in pixels'],
    ['a word', '1,2,3,4;1,2,three,4', 'mark 1: got 1,2,NaN,4'],
    ['a gap', '1,,3,4', 'mark 0: got 1,NaN,3,4'],
    ['a file that is not there', '/nowhere.json', 'ENOENT'],
  ])('with %s are refused', (_, text, message) => {
    expect(() => boxesFrom(text)).toThrow(ConfigError);
    expect(() => boxesFrom(text)).toThrow(message);
  });

  it('in a file that is something else are refused', () => {
    const file = join(folder.path, 'odd.json');
    writeFileSync(file, '{"boxes": []}');
    expect(() => boxesFrom(file)).toThrow('odd.json: (root): got {"boxes":[]}');
  });
});

describe('the command line', () => {
  type Flags = Parameters<typeof requestFrom>[1];
  const flags = (more: Partial<Flags>): Flags => ({
    ...{ model: 'm', provider: 'cpu', threads: 1, frames: 8, image: 'p.png' },
    ...more,
  });
  const from = (questions: string[], more: Partial<Flags> = {}) =>
    requestFrom(questions, flags(more), '/cache', () => undefined);

  it('becomes a question about a picture, a video, marks or a screen', () => {
    expect(from(['What?', 'Where?'])).toMatchObject({
      source: { kind: 'file', path: 'p.png' },
      wanted: { kind: 'question' },
      questions: ['What?', 'Where?'],
    });
    expect(from(['What?'], { video: true, frames: 4 }).wanted).toEqual({
      kind: 'video',
      frames: 4,
    });
    expect(from([], { locate: true, marks: '1,2' })).toMatchObject({
      wanted: { kind: 'location', marks: '1,2' },
      questions: [''],
    });
    expect(from(['Search'], { screen: true, out: 'a.png' }).wanted).toEqual({ kind: 'interface' });
  });

  it.each([
    ['no question', [], {}, 'ask: got no question'],
    [
      'a question about places',
      ['What?'],
      { locate: true },
      '--locate: got "What?", expected no question',
    ],
    [
      'two kinds',
      ['What?'],
      { video: true, screen: true },
      'got --video and --screen, expected one of them',
    ],
    ['two sources', ['What?'], { bag: 'b' }, 'got --image and --bag'],
    ['a camera without a bag', ['What?'], { camera: '/c' }, '--camera: got no --bag'],
    ['a moment without a bag', ['What?'], { at: 3 }, '--at: got no --bag'],
    [
      'marks for nothing',
      ['What?'],
      { marks: '1,2' },
      '--marks: got neither --screen nor --locate',
    ],
    ['a picture of words', ['What?'], { out: 'a.png' }, '--out: got an answer in words only'],
    ['a picture of another kind', ['What?'], { screen: true, out: 'a.gif' }, '--out: got a.gif'],
  ] as const)('with %s is refused', (_, questions, more, message) => {
    expect(() => from([...questions], more)).toThrow(ConfigError);
    expect(() => from([...questions], more)).toThrow(message);
  });

  it('reads, asks, and writes the picture', async () => {
    const program = new Command();
    const said: string[] = [];
    const cache = join(folder.path, 'cache');
    const say = (line: string): void => void said.push(line);
    addAskCommand(program, { version: '0', cache, say });
    const out = join(folder.path, 'out.png');
    const argv = ['ask', '--model', model, '--provider', 'cpu', '--bag', bagPath, '--at', '0.5s'];
    let written = '';
    const stdout = jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
      written += String(text);
      return true;
    });
    try {
      await program.parseAsync([...argv, '--screen', '--out', out, 'pick the red block'], {
        from: 'user',
      });
    } finally {
      stdout.mockRestore();
    }
    const [question, ...lines] = written.trimEnd().split('\n');
    expect(question).toBe('> pick the red block');
    expect(lines).toContain('refused: answer: got 24 tokens without the end, expected the end');
    // Random weights name no place.
    expect(process.exitCode).toBe(1);
    process.exitCode = 0;
    const drawn = await decodeImage(new Uint8Array(readFileSync(out)), 'out.png');
    expect([drawn.height, drawn.width]).toEqual([60, 80]);
    expect(said.at(-1)).toBe(`picture: ${out}`);
  });
});
