/** Processors of one name that compute with different instructions are not the same. */
import { expect, it } from '@jest/globals';
import { processorHash, processorName } from '../../src/model/processor.js';

const first = `processor	: 0
vendor_id	: AuthenticAMD
cpu family	: 26
model		: 2
model name	: AMD EPYC
stepping	: 1
cpu MHz		: 2400.000
flags		: fpu sse2 avx2 avx512f avx512_vnni
`;
const second = first.replace('processor	: 0', 'processor	: 1').replace('avx512f avx512_vnni', '');

it('is told by its family and features, and not by its clock', () => {
  const hash = processorHash(first);
  expect(hash).toMatch(/^[0-9a-f]{12}$/);
  expect(processorHash(first.replace('2400.000', '3100.512'))).toBe(hash);
  expect(processorHash(first.replace(' avx512_vnni', ''))).not.toBe(hash);
  expect(processorHash(first.replace('cpu family	: 26', 'cpu family	: 25'))).not.toBe(hash);
});

it('is the first of those that are listed', () => {
  expect(processorHash(`${first}\n${second}\n`)).toBe(processorHash(first));
});

it('is told on Arm, which has no names', () => {
  const arm = 'processor	: 0\nBogoMIPS	: 50.00\nFeatures	: fp asimd asimddp\nCPU part	: 0xd0c\n';
  expect(processorHash(arm.replace('50.00', '38.40'))).toBe(processorHash(arm));
  expect(processorHash(arm.replace(' asimddp', ''))).not.toBe(processorHash(arm));
});

it('stays what it is on one machine', () => {
  expect(processorName()).toBe(processorName());
  if (process.platform === 'linux') expect(processorName()).toMatch(/., [0-9a-f]{12}$/);
});
