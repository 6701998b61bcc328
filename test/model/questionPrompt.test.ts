/** The prompts of questions, as microsoft/Magma writes them; ids of texts are those of llama3-tokenizer-js 1.2.0. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { parseContract, readContract } from '../../src/model/contract.js';
import { imagesOf, piecesOf } from '../../src/model/promptPieces.js';
import { questionPrompt } from '../../src/model/prompt.js';
import { checkVocabulary, parseTokenizer, readTokenizer } from '../../src/model/tokenizer.js';

const folder = 'test/golden/magma8b';
const magma = readContract(folder);
const llama3 = parseTokenizer(
  readFileSync('test/golden/llama3_subset.json', 'utf8'),
  '{}',
  'llama3_subset.json',
);
/** Both beginnings, the system's sentence, and the user's turn; then the assistant's: as in the public golden vector. */
const before = [
  128000, 128000, 128006, 9125, 128007, 271, 2675, 527, 8479, 430, 649, 1518, 11, 3137, 323, 1180,
  13, 128009, 128006, 882, 128007, 271,
];
const after = [128009, 128006, 78191, 128007, 271];
const picture = [128259, 128257, 128260];

function asked(kind: Parameters<typeof questionPrompt>[0], instruction: string, frames?: number) {
  const request = { instruction, ...(frames === undefined ? {} : { frames }) };
  const prompt = questionPrompt(kind, magma, llama3, request);
  if (!prompt.ok) throw new Error(prompt.refusal.message);
  return prompt.value;
}

describe('a question', () => {
  it('about a picture follows it on a line of its own', () => {
    // README.md: '<image_start><image><image_end>\nWhat is the letter on the robot?'
    const text = [198, 3923, 374, 279, 6661, 389, 279, 12585, 30];
    const { ids, images } = asked('question', ' What is the letter on the robot?\n');
    expect(ids).toEqual([...before, ...picture, ...text, ...after]);
    expect(images).toEqual([{ position: 23, segment: { image: 'picture' } }]);
  });

  it('about a video follows its frames, each on a line of its own and seen in one crop', () => {
    // tools/lmms-eval-magma/magma.py: ''.join(['<image>\n'] * len(images)) + contexts.
    const { ids, images } = asked('video', 'What does the robot do?', 3);
    const text = [198, 3923, 1587, 279, 12585, 656, 30];
    const frames = [...picture, 198, ...picture, 198, ...picture, ...text];
    expect(ids).toEqual([...before, ...frames, ...after]);
    expect(images.map(({ position }) => position)).toEqual([23, 27, 31]);
    expect(images.every(({ segment }) => segment.maxCrops === 1)).toBe(true);
  });

  it('where marks are is the sentence that Magma was trained with', () => {
    // data/conversations.py writes two line feeds (one of the placeholder's, one of the sentence's); the template
    // trims the one at the end.
    const text = [
      271, 791, 2217, 374, 6859, 1139, 220, 4146, 87, 4146, 57449, 11, 323, 30929, 449, 25031,
      15785, 627, 5618, 25539, 682, 279, 35876, 15785, 304, 279, 2217, 13,
    ];
    const { ids, images } = asked('location', '');
    expect(ids).toEqual([...before, ...picture, ...text, ...after]);
    expect(images[0]!.segment).toEqual({ image: 'picture', marks: 'drawn', maxCrops: 1 });
  });

  it('where to click is the sentence of the public agent for screens', () => {
    // agents/ui_agent/app.py: magma_som_prompt.
    const text = [
      198, 644, 420, 1684, 358, 1205, 311, 4299, 264, 3215, 311, 330, 11087, 311, 279, 1948, 21682,
      1772, 44969, 40665, 279, 14259, 323, 279, 1906, 1963, 315, 279, 8649, 31718, 3830, 422, 8581,
      13,
    ];
    const { ids, images } = asked('interface', 'Go to the top ranked post');
    expect(ids).toEqual([...before, ...picture, ...text, ...after]);
    expect(images[0]!.segment).toEqual({ image: 'picture', marks: 'boxes' });
  });

  it.each([
    ['without words', 'question', '  ', undefined, 'got no instruction'],
    ['of a video without frames', 'video', 'What?', 0, 'video: got 0 frames, expected 1 to 32'],
    ['of a video of unknown length', 'video', 'What?', undefined, 'got 0 frames'],
    ['of too many frames', 'video', 'What?', 33, 'got 33 frames, expected 1 to 32'],
  ] as const)('%s is refused', (_, kind, instruction, frames, message) => {
    const request = { instruction, ...(frames === undefined ? {} : { frames }) };
    expect(questionPrompt(kind, magma, llama3, request)).toMatchObject({
      ok: false,
      refusal: { kind: 'badObservation', message: expect.stringContaining(message) },
    });
  });

  it('to a model that was not trained for any is refused', () => {
    const nano = readContract('models/nano');
    const request = { instruction: 'What is this?' };
    expect(questionPrompt('question', nano, readTokenizer('models/nano'), request)).toMatchObject({
      refusal: {
        message:
          'model nano: got a question request, expected none: its contract has no question prompt',
      },
    });
  });
});

type Json = Record<string, never>;
/** The golden model.json with the value at `path` replaced; undefined removes it. */
function changed(path: readonly (string | number)[], value: unknown): () => unknown {
  const model = JSON.parse(readFileSync(`${folder}/model.json`, 'utf8')) as Json;
  const parent = path.slice(0, -1).reduce<Json>((at, key) => at[key] as unknown as Json, model);
  (parent as Record<string, unknown>)[path.at(-1)!] = value;
  const statistics = readFileSync(`${folder}/dataset_statistics.json`, 'utf8');
  return () => parseContract(JSON.stringify(model), statistics, 'model.json');
}

describe('a contract', () => {
  const words = { instruction: 'asGiven' };
  const image = { image: 'picture' };
  const prompt = (...segments: unknown[]) => ({ bos: 2, segments });
  const question = (...segments: unknown[]) =>
    changed(['prompts', 'question'], prompt(...segments));
  const video = (...segments: unknown[]) => changed(['prompts', 'video'], prompt(...segments));

  it.each([
    [
      'a prompt without its answer',
      changed(['answers', 'video'], undefined),
      'prompts.video without answers.video',
    ],
    [
      'an answer without its prompt',
      changed(['prompts', 'location'], undefined),
      'answers.location without prompts.location',
    ],
    [
      'a question without a picture',
      question(words),
      '0 pictures, expected the one that is asked about',
    ],
    ['a question about two pictures', question(image, image, words), '2 pictures'],
    ['a question without words', question(image), 'no {instruction} segment'],
    ['a question of a robot', question(image, words, { state: 'actionIds' }), 'a {state} segment'],
    ['a question with marks in words', question(image, words, { marks: ', ' }), 'a trace segment'],
    [
      'a question with frames',
      question({ frames: [image] }, words),
      '1 groups of frames, expected none',
    ],
    ['a video without frames', video(image, words), '0 groups of frames, expected one'],
    [
      'a video with a picture beside',
      video(image, { frames: [image] }, words),
      '2 pictures, expected one, among the frames',
    ],
    [
      'a location without marks',
      changed(['prompts', 'location'], prompt(image)),
      'a picture without marks',
    ],
    [
      'a screen without boxes',
      changed(['prompts', 'interface'], prompt(image, words)),
      'no marks: boxes',
    ],
    [
      'an action with boxes',
      changed(['prompts', 'action', 'segments', 10, 'marks'], 'boxes'),
      'marks: boxes',
    ],
    [
      'an action with frames',
      changed(['prompts', 'action', 'segments', 11], { frames: [image] }),
      '1 groups of frames',
    ],
    [
      'frames within frames',
      changed(['prompts', 'video', 'segments', 9], { frames: [{ frames: [image] }] }),
      'prompts.video.segments.9',
    ],
    [
      'fewer marks than none',
      changed(['answers', 'location', 'marks'], { min: 3, max: 2 }),
      'got 3 … 2, expected min ≤ max',
    ],
  ])('with %s is refused', (_, read, message) => {
    expect(read).toThrow(message);
  });

  it('names tokens of every prompt that the tokenizer must have', () => {
    const path = ['prompts', 'video', 'segments', 9, 'frames', 0, 'token'];
    const odd = changed(path, '<video>')() as typeof magma;
    expect(() => checkVocabulary(odd, llama3, 'tokenizer.json')).toThrow('no token "<video>"');
    expect(() => checkVocabulary(magma, llama3, 'tokenizer.json')).not.toThrow();
  });

  it('tells the pieces and pictures of a video once', () => {
    const { video: prompt } = magma.prompts;
    expect(imagesOf(prompt!)).toEqual([{ image: 'frame', maxCrops: 1 }]);
    expect(piecesOf(prompt!)).toHaveLength(9 + 4 + 6);
  });
});
