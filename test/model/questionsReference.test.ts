/**
 * Questions on the tiny checkpoint that Magma's own code was run on (test/oracle/magma_reference.py): the same answers, token
 * by token, alone and after a remembered picture, whole and told as they come, and through the command.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ask } from '../../src/commands/ask.js';
import { encodePng } from '../../src/image/codec.js';
import { Questions, readQuestionParts, type Seen } from '../../src/model/questions.js';
import { convertMagma, magmaCases as cases } from '../support/magmaReference.js';
import { referencePicture } from '../support/reference.js';
import type { ReferenceModel } from '../support/referenceModel.js';
import { temporaryFolder } from '../support/tinyMagma.js';

const temporary = temporaryFolder();
let model: ReferenceModel;
let questions: Questions;

beforeAll(async () => {
  model = await convertMagma(join(temporary.path, 'magma'));
  const parts = readQuestionParts(model.folder, 'question');
  questions = new Questions(parts, model.runtime, () => 0);
});

afterAll(async () => {
  await model.release();
  temporary.remove();
});

const pictureOf = (name: string, frame = 0) => referencePicture(...cases[name]!.size, frame);

async function seen(name: 'question' | 'video' | 'interface'): Promise<Seen> {
  if (name === 'video') {
    const frames = Array.from({ length: cases[name]!.request.frames! }, (_, k) =>
      pictureOf(name, k),
    );
    return questions.watch(frames);
  }
  const picture = pictureOf(name);
  return name === 'question' ? questions.lookAt(picture) : questions.lookAtScreen(picture, []);
}

describe.each(['question', 'video', 'interface'] as const)('a %s', (name) => {
  const { tokens, text, request } = cases[name]!;

  it('is answered as by Magma’s own code', async () => {
    const { answer } = await questions.ask(await seen(name), request.instruction);
    expect(answer).toMatchObject({ ok: true, value: { text, isWhole: true, tokens } });
  });

  it('is answered alike after the picture has been remembered, and while it is told', async () => {
    const remembered = await questions.remember(await seen(name));
    const told: string[] = [];
    const onText = (words: string): void => void told.push(words);
    const whole = await questions.ask(remembered, request.instruction);
    const aloud = await questions.ask(remembered, request.instruction, { onText });
    remembered.beginning!.release();
    expect(whole.answer).toMatchObject({ ok: true, value: { text, tokens } });
    expect(aloud.answer).toMatchObject({ ok: true, value: { text, tokens } });
    expect(told.join('')).toBe(text);
    expect(told.length).toBeGreaterThan(2);
  });
});

describe('the place on a screen', () => {
  it('is the share of the picture that the answer names, in the box that it names', async () => {
    // Boxes would be drawn into the picture, which the public code was shown without: they are only named here.
    const screen = { ...(await seen('interface')), drawn: [0, 1, 2, 3] };
    const { answer } = await questions.ask(screen, cases['interface']!.request.instruction);
    if (!answer.ok) throw new Error(answer.refusal.message);
    expect(questions.placeIn(answer.value, screen)).toEqual({
      ok: true,
      value: { mark: 3, at: { x: expect.closeTo(217.6, 9), y: expect.closeTo(309.6, 9) } },
    });
  });
});

describe('the command', () => {
  const request = {
    cache: join(temporary.path, 'cache'),
    provider: 'cpu',
    threads: 1,
    nowMs: () => performance.now(),
    say: () => undefined,
  } as const;

  it('answers about a picture file and a folder of frames', async () => {
    const picture = join(temporary.path, 'picture.png');
    writeFileSync(picture, await encodePng(pictureOf('question')));
    const frames = join(temporary.path, 'frames');
    mkdirSync(frames);
    for (const k of [0, 1])
      writeFileSync(join(frames, `${k}.png`), await encodePng(pictureOf('video', k)));
    const { result: one } = await ask({
      ...{ ...request, folder: model.folder, wanted: { kind: 'question' } },
      source: { kind: 'file', path: picture },
      questions: [cases['question']!.request.instruction],
    });
    const { result: video } = await ask({
      ...{ ...request, folder: model.folder, wanted: { kind: 'video', frames: 8 } },
      source: { kind: 'file', path: frames },
      questions: [cases['video']!.request.instruction],
    });
    expect(one.answers[0]).toMatchObject({ said: { text: 'The letter is M.' }, refused: null });
    expect(video.answers[0]).toMatchObject({
      said: { text: 'It puts a can on the plate.', isWhole: true },
      refused: null,
    });
  });
});
