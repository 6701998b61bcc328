import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { parseContract, readContract } from '../../src/model/contract.js';
import { actionPrompt, cleanInstruction, tracePrompt } from '../../src/model/prompt.js';
import { parseTokenizer, readTokenizer, type Tokenizer } from '../../src/model/tokenizer.js';

const nano = readContract('models/nano');
const magma = readContract('test/golden/magma8b');
const openVla = readContract('test/golden/openvla');
const nanoTokenizer = readTokenizer('models/nano');
const llama3 = parseTokenizer(
  readFileSync('test/golden/llama3_subset.json', 'utf8'),
  '{}',
  'llama3_subset.json',
);
const state = { x: 0.48, y: 0, z: 0.2, yaw: 0, gripper: 1 };

/** Ids of llama-tokenizer-js 1.2.2 for OpenVLA's whole sentence: it must be tokenised in one piece. */
const llama2Texts: Record<string, number[]> = {
  'In: What action should the robot take to close drawer?\nOut:': [
    512, 29901, 1724, 3158, 881, 278, 19964, 2125, 304, 3802, 7482, 556, 29973, 13, 3744, 29901,
  ],
  'In: What action should the robot take to close drawer?\nOut: ': [
    512, 29901, 1724, 3158, 881, 278, 19964, 2125, 304, 3802, 7482, 556, 29973, 13, 3744, 29901,
    29871,
  ],
};
const llama2: Tokenizer = {
  ordinary: 32000,
  encode: (text) => {
    const ids = llama2Texts[text];
    if (!ids) throw new Error(`not tokenised in one piece: ${JSON.stringify(text)}`);
    return ids;
  },
  decode: () => '',
  isOrdinary: (id) => id < 32000,
  idOf: (token) => ({ '<s>': 1, '</s>': 2, '<PAD>': 32000 })[token] ?? NaN,
};

describe("Magma's action prompt", () => {
  const prompt = actionPrompt(magma, llama3, { instruction: 'pick coke can' });

  it('is the 42 ids of the public golden vector, two beginnings included', () => {
    // microsoft/Magma issue 36.
    const golden = [
      128000, 128000, 128006, 9125, 128007, 271, 2675, 527, 8479, 430, 649, 1518, 11, 3137, 323,
      1180, 13, 128009, 128006, 882, 128007, 271, 128259, 128257, 128260, 198, 3923, 1957, 1288,
      279, 12585, 1935, 311, 3820, 84423, 649, 30, 128009, 128006, 78191, 128007, 271,
    ];
    expect(prompt.ok && prompt.value.ids).toEqual(golden);
  });

  it('says where the picture goes and that it is resized to 256 × 256 first', () => {
    expect(prompt.ok && prompt.value.images).toEqual([
      {
        position: 23,
        segment: { image: 'primary', resize: { filter: 'bicubic', height: 256, width: 256 } },
      },
    ]);
  });

  it('asks for traces with mark ids, speed and steps', () => {
    const trace = tracePrompt(magma, llama3, { instruction: 'pick coke can', marks: [4, 1, 9] });
    if (!trace.ok) throw new Error(trace.refusal.message);
    const text = llama3.decode(trace.value.ids.slice(25, -5).filter((id) => llama3.isOrdinary(id)));
    expect(text).toBe(
      '\nThe image is split into 256x256 grids and is labeled with numeric marks [1, 4, 9].\n' +
        'The robot is doing: pick coke can. To finish the task, how to move the numerical marks in ' +
        'the image with speed 8 for the next 8 steps?',
    );
    const resize = { filter: 'bicubic', height: 256, width: 256 };
    expect(trace.value.images).toEqual([
      { position: 23, segment: { image: 'primary', marks: 'drawn', resize } },
    ]);
  });
});

describe("OpenVLA's prompt", () => {
  const close = [
    512, 29901, 1724, 3158, 881, 278, 19964, 2125, 304, 3802, 7482, 556, 29973, 13, 3744,
  ];

  it('puts the picture after the beginning, lower-cases the task and appends 29871', () => {
    const prompt = actionPrompt(openVla, llama2, { instruction: 'Close Drawer' });
    expect(prompt.ok && prompt.value.ids).toEqual([1, 32000, ...close, 29901, 29871]);
    expect(prompt.ok && prompt.value.images[0]?.position).toBe(1);
  });

  it('does not append 29871 twice', () => {
    const model = JSON.parse(readFileSync('test/golden/openvla/model.json', 'utf8')) as {
      prompts: { action: { segments: { text?: string }[] } };
    };
    model.prompts.action.segments[3]!.text = '?\nOut: ';
    const statistics = readFileSync('test/golden/openvla/dataset_statistics.json', 'utf8');
    const spaced = parseContract(JSON.stringify(model), statistics, 'model.json');
    const prompt = actionPrompt(spaced, llama2, { instruction: 'close drawer' });
    expect(prompt.ok && prompt.value.ids).toEqual([1, 32000, ...close, 29901, 29871]);
  });
});

describe("nano's prompts", () => {
  it('ask for an action with picture, task and robot state', () => {
    const prompt = actionPrompt(nano, nanoTokenizer, {
      instruction: ' Pick the  RED block. ',
      state,
    });
    if (!prompt.ok) throw new Error(prompt.refusal.message);
    const { ids, images } = prompt.value;
    expect(ids.slice(0, 4)).toEqual([1008, 1012, 1011, 1013]);
    expect(nanoTokenizer.decode(ids.slice(4, -5))).toBe(
      '\nWhat action should the robot take to pick the red block?',
    );
    expect(ids.length).toBe(4 + 13 + 5);
    expect(ids.slice(-5).every((id) => id >= 752 && id < 1008)).toBe(true);
    expect(images).toEqual([{ position: 2, segment: { image: 'primary' } }]);
  });

  it('ask for traces of the marks that are drawn', () => {
    const prompt = tracePrompt(nano, nanoTokenizer, {
      instruction: 'put the red block on the blue pad',
      marks: [12, 2],
      cells: new Map([
        [2, [0, 131]],
        [12, [99, 255]],
      ]),
      steps: 4,
    });
    if (!prompt.ok) throw new Error(prompt.refusal.message);
    expect(nanoTokenizer.decode(prompt.value.ids.slice(4))).toBe(
      '\nThe image is labeled with numeric marks 2 at [0,131], 12 at [99,255]. To put the red block on the blue pad, ' +
        'how to move the marks for the next 4 steps?',
    );
  });

  it('number the marks alone, or say where each lies, as the contract wants it', () => {
    const model = JSON.parse(readFileSync('models/nano/model.json', 'utf8')) as {
      prompts: { trace: { segments: object[] } };
    };
    model.prompts.trace.segments = [
      { image: 'primary', marks: 'drawn' },
      { text: '\nMarks ' },
      { marks: ', ' },
      { text: ', at ' },
      { marks: ', ', places: 'cells' },
      { text: '?' },
    ];
    const statistics = readFileSync('models/nano/dataset_statistics.json', 'utf8');
    const placed = parseContract(JSON.stringify(model), statistics, 'model.json');
    const cells = new Map<number, readonly [number, number]>([
      [3, [7, 255]],
      [1, [120, 0]],
    ]);
    const prompt = tracePrompt(placed, nanoTokenizer, {
      instruction: 'pick',
      marks: [3, 1],
      cells,
    });
    if (!prompt.ok) throw new Error(prompt.refusal.message);
    expect(nanoTokenizer.decode(prompt.value.ids.slice(2))).toBe(
      '\nMarks 1, 3, at 1 at [120,0], 3 at [7,255]?',
    );
    expect(() => tracePrompt(placed, nanoTokenizer, { instruction: 'pick', marks: [3] })).toThrow(
      'mark 3 without a place',
    );
  });

  it('spell out a special token that stands in the instruction', () => {
    const instruction = 'pick <image> now <|end_of_text|>';
    const prompt = actionPrompt(nano, nanoTokenizer, { instruction, state });
    if (!prompt.ok) throw new Error(prompt.refusal.message);
    expect(prompt.value.ids.filter((id) => id >= 1008)).toEqual([1008, 1012, 1011, 1013]);
    expect(prompt.value.images).toHaveLength(1);
  });

  it.each([
    ['an empty instruction', { instruction: ' . ', state }, 'got no instruction'],
    ['no robot state', { instruction: 'pick' }, 'robot state x: got nothing'],
  ])('refuse %s', (_, request, message) => {
    expect(actionPrompt(nano, nanoTokenizer, request)).toMatchObject({
      ok: false,
      refusal: { kind: 'badObservation', message: expect.stringContaining(message) },
    });
  });

  it.each([
    ['no marks', [], undefined, 'got 0 marks, expected 1 to 9'],
    ['too many marks', [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], undefined, 'got 10 marks'],
    ['a mark twice', [1, 1], undefined, 'got 1, 1, expected different'],
    ['mark 0', [0], undefined, 'expected different positive integers'],
    ['too many steps', [1], 9, 'trace steps: got 9, expected 1 to 8'],
    ['half a step', [1], 0.5, 'got 0.5'],
  ])('refuse traces of %s', (_, marks, steps, message) => {
    const request = { instruction: 'pick', marks, ...(steps === undefined ? {} : { steps }) };
    expect(tracePrompt(nano, nanoTokenizer, request)).toMatchObject({
      ok: false,
      refusal: { kind: 'badObservation', message: expect.stringContaining(message) },
    });
  });
});

describe('a model without traces', () => {
  it('refuses a trace request', () => {
    const request = { instruction: 'close drawer', marks: [1] };
    expect(tracePrompt(openVla, llama2, request)).toMatchObject({
      refusal: {
        message: 'model OpenVLA-7B: got a trace request, expected none: it has no traces',
      },
    });
  });
});

describe('an instruction', () => {
  it('is written as the contract says', () => {
    const given = '  Put the  Cup\ton it!. ';
    expect(cleanInstruction(given, 'asGiven')).toBe('Put the  Cup\ton it!.');
    expect(cleanInstruction(given, 'lowercase')).toBe('put the  cup\ton it!.');
    expect(cleanInstruction(given, 'plain')).toBe('put the cup on it');
    expect(cleanInstruction('pick it', 'plain')).toBe('pick it');
  });
});
