import { describe, expect, it } from '@jest/globals';
import { inOrder, Reorder, shareOut, type Doer } from '../../src/commands/shareOut.js';

/** Takes so many turns of the event loop for a piece. */
const slow = (turns: number): Doer<string> => ({
  do: async (index) => {
    for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
    return `piece ${index}`;
  },
});

describe('Sharing out work', () => {
  it('does every wanted piece once, by whoever is free', async () => {
    const done: number[] = [];
    await shareOut(
      inOrder(9, (i) => i !== 4),
      [slow(1), slow(5)],
      (result, index) => {
        expect(result).toBe(`piece ${index}`);
        done.push(index);
      },
    );
    expect([...done].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 5, 6, 7, 8]);
    // The fast one has done most of them meanwhile: they do not come in order.
    expect(done).not.toEqual([...done].sort((a, b) => a - b));
  });

  it('tells one at a time', async () => {
    let telling = 0;
    await shareOut(
      inOrder(6, () => true),
      [slow(1), slow(1), slow(2)],
      async () => {
        expect(++telling).toBe(1);
        await new Promise((resolve) => setImmediate(resolve));
        telling--;
      },
    );
  });

  it('begins nothing new after a failure, and throws it when all rest', async () => {
    const begun: number[] = [];
    const failing: Doer<string> = {
      do: (index) => {
        begun.push(index);
        return index === 2 ? Promise.reject(new Error('piece 2 fell')) : slow(2).do(index);
      },
    };
    await expect(
      shareOut(
        inOrder(100, () => true),
        [failing, failing],
        () => undefined,
      ),
    ).rejects.toThrow('piece 2 fell');
    expect(begun.length).toBeLessThan(6);
  });
});

describe('Putting back into order', () => {
  it('hands each on when all before it have been', () => {
    const told: string[] = [];
    const reorder = new Reorder<string>(3, (result, index) => told.push(`${index}${result}`));
    for (const [index, result] of [
      [5, 'c'],
      [4, 'b'],
      [3, 'a'],
      [7, 'e'],
    ] as const)
      reorder.add(result, index);
    expect(told).toEqual(['3a', '4b', '5c']);
    reorder.add('d', 6);
    expect(told.slice(3)).toEqual(['6d', '7e']);
  });
});
