import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { seededRandom } from '../../src/math/random.js';
import { idsFromText, textFromIds } from '../../src/model/answerText.js';
import { parseTokenizer, readTokenizer } from '../../src/model/tokenizer.js';
import {
  cellFromPixel,
  formatTrace,
  parseTrace,
  pixelFromCell,
  tracesInPixels,
  type GridTrace,
} from '../../src/model/traceGrammar.js';

const layout = { grid: 256, steps: 2, length: 'exact' } as const;
const atMost = { ...layout, length: 'atMost' } as const;
const moved: GridTrace[] = [
  {
    id: 3,
    start: [12, 200],
    future: [
      [14, 190],
      [16, 181],
    ],
  },
  {
    id: 5,
    start: [0, 255],
    future: [
      [1, 250],
      [2, 244],
    ],
  },
];
const text =
  'Mark 3 at [12,200], Mark 5 at [0,255] should be moved, and their future positions are:\n\n' +
  '"Mark 3": "[[14,190],[16,181]]"\n\n"Mark 5": "[[1,250],[2,244]]"\n\n';
const marks = [1, 3, 5];

const messageOf = (answer: string, rules: typeof layout | typeof atMost = layout): string => {
  const parsed = parseTrace(answer, marks, rules);
  if (parsed.ok) throw new Error(`accepted ${JSON.stringify(answer)}`);
  expect(parsed.refusal.kind).toBe('malformedAnswer');
  return parsed.refusal.message;
};

describe('a trace answer', () => {
  it('is written in Magma’s grammar', () => {
    expect(formatTrace(moved, layout)).toBe(text);
  });

  it('is read back', () => {
    expect(parseTrace(text, marks, layout)).toEqual({ ok: true, value: moved });
  });

  it('may say that nothing moves', () => {
    expect(formatTrace([], layout)).toBe('No mark should be moved.\n');
    expect(parseTrace('No mark should be moved.\n', marks, layout)).toEqual({
      ok: true,
      value: [],
    });
  });

  it('may lack its last line feeds, because chat templates trim', () => {
    expect(parseTrace(text.trimEnd(), marks, layout)).toEqual({ ok: true, value: moved });
    expect(parseTrace('No mark should be moved.', marks, layout)).toEqual({ ok: true, value: [] });
  });

  it('may be shorter where the contract allows it', () => {
    const short = text.replace('[14,190],', '');
    expect(parseTrace(short, marks, atMost)).toMatchObject({ ok: true });
    expect(messageOf(short)).toMatch(/got 1 points for mark 3, expected 2/);
  });

  it.each([
    ['nothing', '', 'character 0: got the end, expected "Mark "'],
    ['prose', 'The robot should pick the block.', 'character 0: got "The r"'],
    [
      'a mark that was not drawn',
      text.replaceAll('5', '4'),
      'got mark 4, expected one of the marks',
    ],
    [
      'a mark twice',
      text.replaceAll('Mark 5', 'Mark 3'),
      'got mark 3 twice, expected each mark once',
    ],
    ['marks in another order below', text.replace('"Mark 3"', '"Mark 5"'), 'expected "\\"Mark 3'],
    [
      'a coordinate above the grid',
      text.replace('200', '256'),
      'got coordinate 256, expected 0 to 255',
    ],
    ['a negative coordinate', text.replace('200', '-2'), 'got "-2], ", expected an integer'],
    ['a fraction', text.replace('200', '2.5'), 'got ".", expected "]"'],
    ['a leading zero', text.replace('200', '020'), 'expected an integer'],
    ['a huge number', text.replace('200', '12345678901234567890'), 'expected an integer'],
    ['another script’s digits', text.replace('200', '٣'), 'expected an integer'],
    ['spaces', text.replace('12,200', '12, 200'), 'got " 200]", expected an integer'],
    ['one coordinate', text.replace('12,200', '12'), 'got "]", expected ","'],
    ['three coordinates', text.replace('12,200', '12,200,3'), 'got ",", expected "]"'],
    [
      'too many points',
      text.replace('[1,250]', '[9,9],[1,250]'),
      'got more than 2 points for mark 5',
    ],
    ['no points', text.replace('[[1,250],[2,244]]', '[]'), 'got "]", expected "["'],
    ['a missing body', text.slice(0, text.indexOf('"Mark 5"')), 'got the end, expected "\\"Mark 5'],
    ['text after the end', `${text}Done.`, 'got more text, expected the end'],
    ['a third line feed', `${text}\n`, 'got more text, expected the end'],
    ['text before', ` ${text}`, 'character 0'],
  ])('with %s is refused', (_, answer, message) => {
    expect(messageOf(answer)).toContain(message);
  });

  it('that is cut off anywhere is refused', () => {
    const complete = [text.length, text.length - 2];
    for (let length = 0; length < text.length; length += 1) {
      if (complete.includes(length)) continue;
      expect(parseTrace(text.slice(0, length), marks, layout).ok).toBe(false);
    }
  });

  it('cannot be written with points outside the grid, doubled marks or a wrong length', () => {
    const [first] = moved as [GridTrace, GridTrace];
    expect(() => formatTrace([{ ...first, start: [256, 0] }], layout)).toThrow(/coordinate 256/);
    expect(() => formatTrace([{ ...first, start: [1.5, 0] }], layout)).toThrow(/expected/);
    expect(() => formatTrace([first, first], layout)).toThrow(/mark 3 twice/);
    expect(() => formatTrace([{ ...first, future: [] }], atMost)).toThrow(/expected/);
  });
});

describe('random answers', () => {
  const random = seededRandom(11);
  const pieces = text.split(/(?=[\s,[\]":])|(?<=[\s,[\]":])/);

  it('never throw, and what is accepted is exactly what its traces are written as', () => {
    let accepted = 0;
    for (let round = 0; round < 20_000; round += 1) {
      const damaged = pieces.slice();
      for (let edits = random.integer(4); edits > 0; edits -= 1) {
        const at = random.integer(damaged.length);
        const other = pieces[random.integer(pieces.length)]!;
        const digit = String(random.integer(300));
        damaged.splice(at, random.integer(2), [other, digit, '', '\u0000'][random.integer(4)]!);
      }
      const answer = damaged.join('');
      const parsed = parseTrace(answer, marks, atMost);
      if (!parsed.ok) continue;
      accepted += 1;
      expect(formatTrace(parsed.value, atMost).trimEnd()).toBe(answer.trimEnd());
    }
    // A quarter of the rounds edits nothing; most edits destroy the text.
    expect(accepted).toBeGreaterThan(4_000);
    expect(accepted).toBeLessThan(12_000);
  });

  it('of random characters are all refused', () => {
    const alphabet = 'Mark 0123456789at[],":\n';
    for (let round = 0; round < 20_000; round += 1) {
      const length = random.integer(80);
      const answer = Array.from({ length }, () => alphabet[random.integer(alphabet.length)]).join(
        '',
      );
      expect(parseTrace(answer, marks, atMost).ok).toBe(false);
    }
  });
});

describe('cells and pixels', () => {
  const size = { height: 120, width: 160 };

  it('are int(256 · x / width), int(256 · y / height)', () => {
    expect(cellFromPixel({ x: 80, y: 30 }, size, 256)).toEqual([128, 64]);
    expect(cellFromPixel({ x: 159.99, y: 0 }, size, 256)).toEqual([255, 0]);
  });

  it('are clipped to the picture', () => {
    expect(cellFromPixel({ x: 160, y: -5 }, size, 256)).toEqual([255, 0]);
  });

  it('come back as the same cell', () => {
    for (let n = 0; n < 256; n += 1) {
      expect(cellFromPixel(pixelFromCell([n, 255 - n], size, 256), size, 256)).toEqual([
        n,
        255 - n,
      ]);
    }
  });

  it('come back within half a cell', () => {
    const back = pixelFromCell(cellFromPixel({ x: 33.3, y: 77.7 }, size, 256), size, 256);
    expect(Math.abs(back.x - 33.3)).toBeLessThanOrEqual(160 / 512);
    expect(Math.abs(back.y - 77.7)).toBeLessThanOrEqual(120 / 512);
  });

  it('turn whole traces into pixels of the source picture', () => {
    const traces = tracesInPixels([{ id: 7, start: [0, 128], future: [[255, 0]] }], size, 256);
    expect(traces).toEqual([
      { id: 7, start: { x: 0.3125, y: 60.234375 }, future: [{ x: 159.6875, y: 0.234375 }] },
    ]);
  });
});

describe('a trace answer in tokens', () => {
  const nano = readTokenizer('models/nano');

  it('goes to ids and back, the end included', () => {
    const ids = idsFromText(text, nano, 1009);
    expect(ids.at(-1)).toBe(1009);
    expect(textFromIds(ids, nano, 1009)).toEqual({ ok: true, value: text });
  });

  it('takes one token per number and per group of brackets', () => {
    // Header: `Mark`, ` `, id, ` at`, ` [`, x, `,`, y, `],` = 9 per mark (the second begins ` Mark` and ends `]`), then
    // 10 for ` should` … ` are`, `:⏎⏎`. Below: `"Mark`, ` `, id, `":`, ` "[[` = 5, x `,` y `],[` x `,` y = 7, `]]"⏎⏎` = 1.
    expect(nano.encode(text)).toHaveLength(2 * 9 + 10 + 2 * (5 + 7 + 1));
  });

  it.each([1, 2, 4, 9])(
    'of %s marks × 8 steps takes as many Llama 3 tokens as Magma’s',
    (count) => {
      const golden = { 1: 59, 2: 108, 4: 206, 9: 451 }[count];
      const subset = readFileSync('test/golden/llama3_subset.json', 'utf8');
      const llama3 = parseTokenizer(subset, '{}', 'llama3_subset.json');
      const traces = Array.from({ length: count }, (_, n) => ({
        id: n + 1,
        start: [12, 200] as const,
        future: Array.from({ length: 8 }, () => [12, 200] as const),
      }));
      expect(llama3.encode(formatTrace(traces, { ...layout, steps: 8 }))).toHaveLength(golden!);
    },
  );

  it.each([
    ['without an end', [72, 105], '2 tokens without the end'],
    ['that goes on after the end', [72, 1009, 105], '1 tokens after the end'],
    ['with a special token', [72, 1011, 1009], 'token 1011'],
    ['with an id the vocabulary lacks', [4711, 1009], 'token 4711'],
  ])('%s is refused', (_, ids, message) => {
    expect(textFromIds(ids, nano, 1009)).toMatchObject({
      ok: false,
      refusal: { kind: 'malformedAnswer', message: expect.stringContaining(message) },
    });
  });

  it('may be empty text, which the grammar refuses', () => {
    expect(textFromIds([1009], nano, 1009)).toEqual({ ok: true, value: '' });
    expect(parseTrace('', marks, layout).ok).toBe(false);
  });
});
