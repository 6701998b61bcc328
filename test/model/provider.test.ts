/** Which provider is taken, and what is said where one cannot be. */
import { afterAll, describe, expect, it } from '@jest/globals';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Graph, modelBytes } from '../../src/convert/onnx.js';
import { add, rename } from '../../src/convert/ops.js';
import {
  cudaAdvice,
  installCuda,
  missingLibraries,
  neededLibraries,
} from '../../src/model/cudaLibraries.js';
import { checkProvider, openRuntime } from '../../src/model/runtime.js';
import {
  adviceFor,
  assertComputes,
  chooseProvider,
  float32Data,
  float32Tensor,
  installedProviders,
  nothingGraph,
  openSession,
  proveProvider,
} from '../../src/model/session.js';
import { writeTinyMagma } from '../support/tinyGraphs.js';
import { temporaryFolder } from '../support/tinyMagma.js';

const temporary = temporaryFolder();
afterAll(() => temporary.remove());

describe('the provider', () => {
  it('is the CPU where nothing is asked for, and says what else there is', () => {
    expect(chooseProvider('auto', ['cpu', 'webgpu', 'cuda'])).toEqual({
      provider: 'cpu',
      reason:
        'auto; installed too, and taken only where provider names it: cuda (not run by the project), webgpu (run by the project on a software Vulkan only)',
    });
    expect(chooseProvider('auto', ['cpu'])).toEqual({
      provider: 'cpu',
      reason: 'auto: no other provider is installed',
    });
  });

  it('is another one by name only, and says how far anybody has seen it run', () => {
    expect(chooseProvider('cuda', ['cpu', 'cuda'])).toEqual({
      provider: 'cuda',
      reason: 'as asked; not run by the project',
    });
  });

  it('is refused when it is asked for and not installed, with what to run', () => {
    expect(() => chooseProvider('cuda', ['cpu', 'webgpu'])).toThrow(
      `provider: got cuda, which is not installed, expected one of cpu, webgpu, auto, or first (Linux x64): ${installCuda}`,
    );
    expect(() => chooseProvider('webgpu', ['cpu'])).toThrow(
      'provider: got webgpu, which is not installed, expected one of cpu, auto',
    );
  });
});

describe('before anything large is read', () => {
  const cuda = chooseProvider('cuda', ['cpu', 'cuda']);
  const fp32 = /^provider cuda: got graphs in fp32, .* expected .* --weights int4 --compute fp16/;

  it('graphs in fp32 are refused for CUDA, with the command that makes others', async () => {
    expect(() => assertComputes(cuda, 'float32')).toThrow(fp32);
    expect(() => assertComputes(cuda, 'float16')).not.toThrow();
    await expect(proveProvider(cuda, 'float32')).rejects.toThrow(fp32);
  });

  it('a provider that is asked for and not installed is refused, whatever the graphs', async () => {
    if (installedProviders().includes('cuda')) return;
    const folder = join(temporary.path, 'graphs');
    mkdirSync(folder);
    writeTinyMagma(folder, {});
    for (const graphs of [folder, join(temporary.path, 'not yet built')]) {
      await expect(checkProvider(graphs, 'cuda')).rejects.toThrow('cuda, which is not installed');
    }
    await expect(openRuntime(folder, { provider: 'cuda', threads: 1 })).rejects.toThrow(
      'cuda, which is not installed',
    );
    await expect(checkProvider(folder, 'cpu')).resolves.toBeUndefined();
  });

  it('a graph is run that does next to nothing', async () => {
    const g = new Graph('nothing');
    const x = g.input('x', 'float32', [1]);
    rename(g, add(g, x, x), 'y');
    g.output('y', 'float32', [1]);
    expect(Buffer.from(modelBytes(g)).equals(nothingGraph)).toBe(true);
    const path = join(temporary.path, 'nothing.onnx');
    writeFileSync(path, nothingGraph);
    const session = await openSession(path, chooseProvider('cpu'), 1);
    const { y } = await session.run({ x: float32Tensor([1], Float32Array.of(1)) }, ['y']);
    expect(float32Data(y, 'y')).toEqual(Float32Array.of(2));
    await session.release();
  });

  const withoutWebGpu = process.platform === 'linux' && !hasVulkan() ? it : it.skip;
  withoutWebGpu(
    'a device that is not there is found, with what is needed',
    async () => {
      await expect(proveProvider(chooseProvider('webgpu'), 'float32')).rejects.toThrow(
        /^provider webgpu: got .* expected a GPU with a driver for Vulkan/s,
      );
    },
    60_000,
  );
});

/** Whether the loader of Vulkan is where the dynamic linker looks. */
function hasVulkan(): boolean {
  return !missingLibraries(libraryThatNeeds(['libvulkan.so.1'])).includes('libvulkan.so.1');
}

/** A shared library of 64-bit little-endian ELF that needs others and does nothing. */
function libraryThatNeeds(names: readonly string[]): string {
  const strings = Buffer.from(`\0${names.join('\0')}\0`);
  const at = names.map((_, i) => 1 + names.slice(0, i).join('\0').length + Math.min(i, 1));
  const [headers, dynamicSize] = [64 + 2 * 56, 16 * (names.length + 2)];
  // File offset o lies at address o + base: a reader that mixes the two up reads nonsense.
  const base = 0x10000;
  const file = Buffer.alloc(headers + dynamicSize + strings.length);
  file.write('\x7fELF\x02\x01\x01', 'latin1');
  file.writeBigUInt64LE(64n, 32);
  file.writeUInt16LE(56, 54);
  file.writeUInt16LE(2, 56);
  const segment = (index: number, type: number, offset: number, size: number): void => {
    const to = 64 + 56 * index;
    file.writeUInt32LE(type, to);
    file.writeBigUInt64LE(BigInt(offset), to + 8);
    file.writeBigUInt64LE(BigInt(offset + base), to + 16);
    file.writeBigUInt64LE(BigInt(size), to + 32);
  };
  segment(0, 1, 0, file.length);
  segment(1, 2, headers, dynamicSize);
  const entry = (index: number, tag: number, value: number): void => {
    file.writeBigInt64LE(BigInt(tag), headers + 16 * index);
    file.writeBigUInt64LE(BigInt(value), headers + 16 * index + 8);
  };
  at.forEach((offset, i) => entry(i, 1, offset));
  entry(names.length, 5, base + headers + dynamicSize);
  strings.copy(file, headers + dynamicSize);
  const path = join(temporary.path, 'provider.so');
  writeFileSync(path, file);
  return path;
}

describe('what would have helped', () => {
  it('is memory, where there was too little of it', () => {
    const cuda = 'CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0';
    expect(adviceFor('cuda', cuda, 'luck')).toBe(
      'more free memory of the device, or a smaller model: --weights int4 --compute fp16 takes the least',
    );
    expect(adviceFor('cuda', 'CUDA failure 2: out of memory', 'luck')).toMatch(
      /^more free memory of the/,
    );
    const cudnn = 'CUDNN failure 5000: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED';
    expect(adviceFor('cuda', cudnn, 'luck')).toMatch(/^more free memory of the device/);
    expect(adviceFor('cuda', 'std::bad_alloc', 'luck')).toMatch(/^more free memory, or/);
    expect(adviceFor('cpu', 'Exception during initialization: std::bad_alloc', 'luck')).toMatch(
      /^more free memory, or/,
    );
  });

  it('is nothing to install, where the graph is what is wrong', () => {
    expect(adviceFor('cpu', 'Non-zero status code returned while running Add', 'luck')).toBe(
      'luck',
    );
  });
});

describe('a CUDA provider that does not load', () => {
  const isLinux = process.platform === 'linux';
  const onLinux = isLinux ? it : it.skip;

  it('lists the libraries that its file needs', () => {
    const names = ['libcublasLt.so.12', 'libcudart.so.12', 'libcuda.so.1', 'libm.so.6'];
    expect(neededLibraries(libraryThatNeeds(names))).toEqual(names);
    expect(neededLibraries(libraryThatNeeds([]))).toEqual([]);
  });

  onLinux('lists what a program of this machine needs', () => {
    expect(neededLibraries(process.execPath)).toContain('libc.so.6');
  });

  onLinux('names those that are not found, and where they come from', () => {
    const path = libraryThatNeeds(['libnobodyhasthis.so.77', 'libm.so.6']);
    expect(missingLibraries(path)).toContain('libnobodyhasthis.so.77');
    expect(missingLibraries(path)).not.toContain('libm.so.6');
    expect(cudaAdvice(path)).toMatch(
      /^libnobodyhasthis\.so\.77.* where the dynamic linker looks .* cuDNN 9$/,
    );
  });

  it('is fetched again where it is no library at all', () => {
    const path = join(temporary.path, 'broken.so');
    writeFileSync(path, 'half a download');
    expect(cudaAdvice(path)).toMatch(/^a CUDA provider that can be read .*install\.js/);
    expect(cudaAdvice(join(temporary.path, 'nothing'))).toMatch(/no such file/);
  });
});
