/**
 * Why the CUDA provider does not load, in words a user can act on. ONNX Runtime only says "Failed to load shared
 * library"; which libraries the provider links to is read from the file itself, so it holds for any version of it.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { messageOf } from '../errors.js';

/** What the script of onnxruntime-node 1.30 fetches: Linux x64, CUDA 12. */
export const installCuda = `node ${installScript()} --onnxruntime-node-install=cuda12`;

/** Of the package that this process runs: a ROS 2 workspace has one beside that of its sources. */
function installScript(): string {
  const { resolve } = createRequire(import.meta.url);
  return join(dirname(resolve('onnxruntime-node')), '..', 'script', 'install.js');
}

/** Loaded by name when a convolution is first prepared, so that the provider does not list it. */
const loadedLater = ['libcudnn.so.9'];

/** Libraries the provider needs and the dynamic linker does not find. @param provider path of its library. */
export function missingLibraries(provider: string): readonly string[] {
  return [...neededLibraries(provider), ...loadedLater].filter((name) => !isFound(name));
}

/** One sentence: what is missing, and where it comes from. */
export function cudaAdvice(provider: string): string {
  let missing: readonly string[];
  try {
    missing = missingLibraries(provider);
  } catch (error) {
    return `a CUDA provider that can be read (${messageOf(error)}); fetch it again: ${installCuda}`;
  }
  if (missing.length === 0) {
    return 'a GPU and a driver new enough for this CUDA provider: nvidia-smi shows both';
  }
  const from = missing.includes('libcuda.so.1')
    ? "the NVIDIA driver (libcuda.so.1), the CUDA runtime's libraries and cuDNN 9"
    : "the CUDA runtime's libraries of the version in these names, and cuDNN 9";
  return `${missing.join(', ')} where the dynamic linker looks (ldconfig, LD_LIBRARY_PATH): they come with ${from}`;
}

/** Node's own loader finds what the provider's would; a library that is no add-on is let go again at once. */
function isFound(name: string): boolean {
  try {
    process.dlopen({ exports: {} }, name);
    return true;
  } catch (error) {
    return !messageOf(error).includes('cannot open shared object file');
  }
}

// ── DT_NEEDED of an ELF file (refspecs.linuxfoundation.org/elf/gabi4+, "Dynamic Section"); 64-bit little-endian ─────

const loadSegment = 1;
const dynamicSegment = 2;
const neededTag = 1;
const stringsTag = 5;
const mostEntries = 4096;

/** In the order the file lists them. @throws Error where it is no 64-bit little-endian ELF file. */
export function neededLibraries(path: string): readonly string[] {
  const descriptor = openSync(path, 'r');
  try {
    const read = (offset: number, length: number): Buffer => {
      const bytes = Buffer.alloc(length);
      return bytes.subarray(0, readSync(descriptor, bytes, 0, length, offset));
    };
    const segments = readSegments(read);
    const dynamic = segments.find(({ type }) => type === dynamicSegment);
    if (!dynamic) return [];
    const entries = readDynamic(read(dynamic.offset, Math.min(dynamic.size, 16 * mostEntries)));
    const strings = entries.find(({ tag }) => tag === stringsTag)?.value;
    const holder = segments.find(
      ({ type, address, size }) =>
        type === loadSegment &&
        strings !== undefined &&
        strings >= address &&
        strings < address + size,
    );
    if (strings === undefined || !holder) return [];
    const table = holder.offset + strings - holder.address;
    return entries
      .filter(({ tag }) => tag === neededTag)
      .map(({ value }) => zeroEnded(read(table + value, 256)));
  } finally {
    closeSync(descriptor);
  }
}

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly size: number;
}

function readSegments(read: (offset: number, length: number) => Buffer): readonly Segment[] {
  const header = read(0, 64);
  const isElf = header.length === 64 && header.toString('latin1', 0, 6) === '\x7fELF\x02\x01';
  if (!isElf) throw new Error('no 64-bit little-endian ELF file');
  const start = Number(header.readBigUInt64LE(32));
  const size = header.readUInt16LE(54);
  const count = header.readUInt16LE(56);
  return Array.from({ length: count }, (_, i) => {
    const entry = read(start + i * size, size);
    const at = (offset: number): number => Number(entry.readBigUInt64LE(offset));
    return { type: entry.readUInt32LE(0), offset: at(8), address: at(16), size: at(32) };
  });
}

function readDynamic(section: Buffer): readonly { readonly tag: number; readonly value: number }[] {
  return Array.from({ length: Math.floor(section.length / 16) }, (_, i) => ({
    tag: Number(section.readBigInt64LE(16 * i)),
    value: Number(section.readBigUInt64LE(16 * i + 8)),
  }));
}

function zeroEnded(bytes: Buffer): string {
  return bytes.toString('latin1', 0, bytes.indexOf(0));
}
