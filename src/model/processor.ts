/**
 * Which processor this is, as far as its arithmetic goes. ONNX Runtime picks its kernels by what the processor can do, and
 * sums in another order rounds otherwise; the name alone does not tell, because virtual machines give one name to many.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';

/** Of x86 and Arm, in Linux's words; a clock changes and changes no result. */
const telling = [
  ...['vendor_id', 'cpu family', 'model', 'model name', 'stepping', 'flags'],
  ...['CPU implementer', 'CPU architecture', 'CPU variant', 'CPU part', 'CPU revision', 'Features'],
];

/** `AMD EPYC, 0a1b2c3d4e5f`: its name, and a hash of its family, model and features; the name alone where no Linux runs. */
export function processorName(): string {
  const name = cpus()[0]?.model ?? process.arch;
  let text: string;
  try {
    text = readFileSync('/proc/cpuinfo', 'utf8');
  } catch {
    return name;
  }
  return `${name}, ${processorHash(text)}`;
}

/** @param text of /proc/cpuinfo; its first processor counts. */
export function processorHash(text: string): string {
  const lines = text.split('\n\n')[0]!.split('\n');
  const told = lines.filter((line) => telling.includes(line.split(':')[0]!.trim()));
  return createHash('sha256').update(told.join('\n')).digest('hex').slice(0, 12);
}
