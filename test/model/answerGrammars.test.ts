import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { seededRandom } from '../../src/math/random.js';
import { formatScreenTarget, parseScreenTarget } from '../../src/model/interfaceGrammar.js';
import { formatLocations, parseLocations } from '../../src/model/locationGrammar.js';
import { parseTokenizer } from '../../src/model/tokenizer.js';
import type { Answer } from '../../src/types.js';

const llama3 = parseTokenizer(
  readFileSync('test/golden/llama3_subset.json', 'utf8'),
  '{}',
  'llama3_subset.json',
);

function messageOf(answer: Answer<unknown>): string {
  if (answer.ok) throw new Error(`accepted: ${JSON.stringify(answer.value)}`);
  expect(answer.refusal.kind).toBe('malformedAnswer');
  return answer.refusal.message;
}

describe('where marks are', () => {
  // magma data/conversations.py: '. '.join(f'Mark {key} at [{x},{y}]') + '\n'.
  const text = 'Mark 1 at [12,200]. Mark 2 at [0,255]\n';
  const marks = [
    { id: 1, at: [12, 200] },
    { id: 2, at: [0, 255] },
  ] as const;
  const grid = { grid: 256 };

  it('is written as Magma is trained to, and read back', () => {
    expect(formatLocations(marks)).toBe(text);
    expect(parseLocations(text, [1, 2], grid)).toEqual({ ok: true, value: marks });
  });

  it('may lack the line feed that a chat template trims: ids of llama3-tokenizer-js 1.2.0', () => {
    const ids = [
      9126, 220, 16, 520, 510, 717, 11, 1049, 948, 4488, 220, 17, 520, 510, 15, 11, 3192, 60,
    ];
    expect(llama3.decode(ids)).toBe(text.trimEnd());
    expect(parseLocations(llama3.decode(ids), [1, 2], grid)).toEqual({ ok: true, value: marks });
  });

  it('may leave marks out', () => {
    const answer = parseLocations('Mark 2 at [0,255]', [1, 2, 3], grid);
    expect(answer).toMatchObject({ ok: true, value: [{ id: 2 }] });
  });

  it.each([
    ['nothing', '', 'character 0: got the end, expected "Mark "'],
    [
      'a mark that is not drawn',
      'Mark 7 at [1,2]',
      'got mark 7, expected one of the marks drawn: 1, 2',
    ],
    [
      'a mark twice',
      'Mark 1 at [1,2]. Mark 1 at [1,2]',
      'got mark 1 twice, expected each mark once',
    ],
    ['a cell outside', 'Mark 1 at [256,2]', 'got coordinate 256, expected 0 to 255'],
    ['a negative cell', 'Mark 1 at [-1,2]', 'expected an integer'],
    ['half a cell', 'Mark 1 at [1.5,2]', 'expected ","'],
    ['a list that goes on', 'Mark 1 at [1,2]. ', 'got the end, expected "Mark "'],
    ['commas between', 'Mark 1 at [1,2], Mark 2 at [1,2]', 'character 15: got ","'],
    ['words after it', 'Mark 1 at [1,2]\nDone.', 'got more text, expected the end'],
  ])('with %s is refused', (_, answer, message) => {
    expect(messageOf(parseLocations(answer, [1, 2], grid))).toContain(message);
  });
});

describe('where to click', () => {
  const drawn = [0, 1, 2, 3];

  it('is a point and a box: ids of llama3-tokenizer-js 1.2.0', () => {
    const ids = [29689, 25, 320, 15, 13, 1114, 11, 220, 15, 13, 3391, 570, 4488, 25, 220, 18, 13];
    const text = llama3.decode(ids);
    expect(text).toBe('Coordinate: (0.17, 0.43). Mark: 3.');
    const target = { at: { x: 0.17, y: 0.43 }, mark: 3 };
    expect(parseScreenTarget(text, drawn)).toEqual({ ok: true, value: target });
    expect(formatScreenTarget(target)).toBe(text);
  });

  it.each([
    ['without a box', 'Coordinate: (0.17, 0.43).', null],
    ['without the last full stop', 'Coordinate: (0.17, 0.43). Mark: 0', 0],
    ['without any', 'Coordinate: (0.17, 0.43)', null],
    ['without a space', 'Coordinate: (0.17,0.43). Mark: 2.', 2],
  ])('may be written %s', (_, text, mark) => {
    const value = { at: { x: 0.17, y: 0.43 }, mark };
    expect(parseScreenTarget(text, drawn)).toEqual({ ok: true, value });
  });

  it('reaches the edges of the picture', () => {
    const answer = parseScreenTarget('Coordinate: (0.00, 1.00).', []);
    expect(answer).toEqual({ ok: true, value: { at: { x: 0, y: 1 }, mark: null } });
  });

  it.each([
    ['prose', 'Click on the button.', 'screen answer, character 0: got "Click on the '],
    [
      'a point outside',
      'Coordinate: (1.17, 0.43).',
      'character 13: got "1.17, 0.", expected a number from 0 to 1',
    ],
    ['a negative number', 'Coordinate: (-0.17, 0.43).', 'expected a number from 0 to 1'],
    ['pixels', 'Coordinate: (170, 430).', 'expected a number from 0 to 1'],
    ['five decimals', 'Coordinate: (0.12345, 0.43).', 'expected a number from 0 to 1'],
    ['two points in a number', 'Coordinate: (0.1.7, 0.43).', 'expected a number from 0 to 1'],
    ['a box of four numbers', 'Coordinate: (0.1, 0.2, 0.3, 0.4).', 'expected ")"'],
    [
      'a box that is not drawn',
      'Coordinate: (0.1, 0.2). Mark: 4.',
      'got mark 4, expected one of the boxes drawn: 0, 1, 2, 3',
    ],
    ['an answer cut off', 'Coordinate: (0.1, 0.2). Mark', 'expected " Mark: "'],
    ['words after it', 'Coordinate: (0.1, 0.2). Mark: 3. Yes', 'got more text, expected the end'],
    ['a space before it', ' Coordinate: (0.1, 0.2).', 'character 0'],
  ])('with %s is refused', (_, text, message) => {
    expect(messageOf(parseScreenTarget(text, drawn))).toContain(message);
  });

  it('names no box where none is drawn', () => {
    const answer = parseScreenTarget('Coordinate: (0.1, 0.2). Mark: 0.', []);
    expect(messageOf(answer)).toContain('expected one of the boxes drawn: none');
  });
});

describe('both grammars', () => {
  it('take or refuse any damaged answer, without an exception', () => {
    const random = seededRandom(4);
    const whole = ['Mark 1 at [12,200]. Mark 2 at [0,255]\n', 'Coordinate: (0.17, 0.43). Mark: 3.'];
    const letters = ' .,:()[]0123456789MarkCoordinate\n\u{1F916}\uFFFD';
    let taken = 0;
    for (let round = 0; round < 4000; round++) {
      const text = whole[round % 2]!;
      const at = Math.floor(random.uniform() * (text.length + 1));
      const letter = letters[Math.floor(random.uniform() * letters.length)]!;
      const damaged =
        text.slice(0, at) + letter + text.slice(at + (random.uniform() < 0.5 ? 1 : 0));
      const locations = parseLocations(damaged, [1, 2], { grid: 256 });
      const target = parseScreenTarget(damaged, [0, 1, 2, 3]);
      expect(locations.ok && target.ok).toBe(false);
      taken += Number(locations.ok) + Number(target.ok);
      // What is taken says the same when it is written again, but for how decimals are written.
      if (locations.ok) expect(formatLocations(locations.value).trimEnd()).toBe(damaged.trimEnd());
    }
    expect(taken).toBeGreaterThan(100);
    expect(taken).toBeLessThan(2000);
  });
});
