/** Parts of a file are judged alike, in whatever pieces the file is read. */
import { describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { RangeHashes } from '../../src/convert/rangeHashes.js';

const bytes = Uint8Array.from({ length: 40 }, (_, i) => i * 7);
const range = (name: string, offset: number, length: number) => ({
  ...{ name, offset, bytes: length },
  sha256: createHash('sha256')
    .update(bytes.subarray(offset, offset + length))
    .digest('hex'),
});
/** With gaps, an empty one, and out of order. */
const ranges = [range('c', 20, 15), range('a', 0, 5), range('empty', 8, 0), range('b', 8, 12)];

function changed(file: Uint8Array, pieceBytes: number): readonly string[] {
  const hashes = new RangeHashes(ranges);
  for (let at = 0; at < file.length; at += pieceBytes) {
    hashes.add(file.subarray(at, at + pieceBytes), at);
  }
  return hashes.changed();
}

describe('ranges of a file', () => {
  it.each([1, 2, 5, 8, 13, 40])('read in pieces of %d bytes are what they were', (pieceBytes) => {
    expect(changed(bytes, pieceBytes)).toEqual([]);
  });

  it.each([1, 5, 13, 40])('read in pieces of %d bytes show which of them changed', (pieceBytes) => {
    const owners = Array.from(bytes, (_, at) => {
      const other = Uint8Array.from(bytes);
      other[at]! ^= 1;
      return changed(other, pieceBytes).join() || '-';
    });
    expect(owners.join('')).toBe('aaaaa---bbbbbbbbbbbbccccccccccccccc-----');
  });

  it('are missed where the file ends before them', () => {
    expect(changed(bytes.subarray(0, 34), 7)).toEqual(['c']);
    expect(changed(bytes.subarray(0, 0), 7)).toEqual(['a', 'empty', 'b', 'c']);
  });
});
