/**
 * The only file that knows onnxruntime-node. Creating a session and running it block the thread they are called on:
 * both belong in the inference worker.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { InferenceSession, Tensor, env, listSupportedBackends } from 'onnxruntime-node';
import { ModelError, messageOf } from '../errors.js';
import { cudaAdvice, installCuda, missingLibraries } from './cudaLibraries.js';
import type { GraphManifest } from './graphs.js';

export type ProviderSetting = 'auto' | 'cuda' | 'webgpu' | 'cpu';

/** What runs the graphs, and one sentence why. */
export interface ProviderChoice {
  readonly provider: 'cuda' | 'webgpu' | 'cpu';
  readonly reason: string;
}

type KeyValueType = GraphManifest['decoder']['keyValueType'];

export interface SessionSettings {
  readonly provider: ProviderSetting;
  /** Threads inside one operator on the CPU. */
  readonly threads: number;
}

/** A tensor that may live on a device: only its shape is known here. Release it with `dispose`. */
export type OpaqueTensor = Tensor;
export type Feeds = Readonly<Record<string, OpaqueTensor>>;

export interface Session {
  readonly path: string;
  /** Runs the graph once. Only the outputs asked for are computed and returned. @throws ModelError. */
  run(feeds: Feeds, outputs: readonly string[]): Promise<Readonly<Record<string, OpaqueTensor>>>;
  release(): Promise<void>;
}

/** How far anybody has seen it run these graphs. */
const experience: Readonly<Record<ProviderChoice['provider'], string>> = {
  cpu: 'every test and figure of this project',
  webgpu: 'run by the project on a software Vulkan only',
  cuda: 'not run by the project',
};

/** For `--help` and its like. */
export const providerHelp = `auto: the CPU, and says what else is installed; cuda (${experience.cuda}) and webgpu (${experience.webgpu}) only by name, once they answer as the CPU does`;

/**
 * `auto` is the CPU: nothing that the project has not run is ever the answer to no question.
 * @throws ModelError with what to do, where the provider asked for is not installed.
 */
export function chooseProvider(
  setting: ProviderSetting,
  installed: readonly string[] = installedProviders(),
): ProviderChoice {
  if (setting === 'auto') return { provider: 'cpu', reason: autoReason(installed) };
  if (!installed.includes(setting)) {
    const fetch = setting === 'cuda' ? `, or first (Linux x64): ${installCuda}` : '';
    const expected = `one of ${installed.join(', ')}, auto${fetch}`;
    throw new ModelError('provider', `${setting}, which is not installed`, expected);
  }
  if (setting === 'cpu') return { provider: setting, reason: 'as asked' };
  return { provider: setting, reason: `as asked; ${experience[setting]}` };
}

function autoReason(installed: readonly string[]): string {
  const others = (['cuda', 'webgpu'] as const).filter((name) => installed.includes(name));
  if (others.length === 0) return 'auto: no other provider is installed';
  const named = others.map((name) => `${name} (${experience[name]})`).join(', ');
  return `auto; installed too, and taken only where provider names it: ${named}`;
}

/**
 * What would be found wrong once gigabytes have been read or written, said before: libraries or a device that are not there,
 * and graphs that a provider has no kernels for. Opens and runs a graph of one addition.
 * @param compute of the graphs. @throws ModelError with what to do.
 */
export async function proveProvider(choice: ProviderChoice, compute: KeyValueType): Promise<void> {
  const { provider } = choice;
  assertComputes(choice, compute);
  if (provider === 'cpu') return;
  assertLibraries(provider);
  try {
    const session = await InferenceSession.create(nothingGraph, options(choice, 1, []));
    try {
      await session.run({ x: new Tensor('float32', Float32Array.of(1), [1]) });
    } finally {
      await session.release();
    }
  } catch (error) {
    const got = messageOf(error).trim();
    throw new ModelError(
      `provider ${provider}`,
      got,
      adviceFor(provider, got, `${provider} to add two numbers`),
    );
  }
}

/** cuDNN is loaded with the first convolution, which an addition has none of. */
function assertLibraries(provider: ProviderChoice['provider']): void {
  if (provider !== 'cuda' || process.platform !== 'linux') return;
  const path = providerLibrary(provider);
  let missing: readonly string[];
  try {
    missing = missingLibraries(path);
  } catch (error) {
    throw new ModelError(path, messageOf(error), cudaAdvice(path));
  }
  if (missing.length === 0) return;
  throw new ModelError('provider cuda', `no ${missing.join(', no ')}`, cudaAdvice(path));
}

/** @throws ModelError where the provider would leave a part of the graphs to the CPU, and carry its data to and fro. */
export function assertComputes({ provider }: ProviderChoice, compute: KeyValueType): void {
  if (provider !== 'cuda' || compute === 'float16') return;
  const expected =
    'graphs that compute in fp16: npx magma-vla convert <checkpoint> --out models/<name> --weights int4 --compute fp16, or --weights fp16';
  throw new ModelError('provider cuda', 'graphs in fp32, for which it has no attention', expected);
}

/** A ModelProto: y = x + x, of one float. */
export const nothingGraph = Buffer.from(
  'CAoSCW1hZ21hX3ZsYTpyCh4KAXgKAXgSBUFkZF8wGgpub2RlX0FkZF8xIgNBZGQKJQoFQWRkXzASAXkaD25vZGVfSWRlbnRpdHlfMiIISWRlbnRpdHkSB25vdGhpbmdaDwoBeBIKCggIARIECgIIAWIPCgF5EgoKCAgBEgQKAggBQgQKABAVQhEKDWNvbS5taWNyb3NvZnQQAQ==',
  'base64',
);

/** Of ONNX Runtime. */
export const runtimeVersion = env.versions.node ?? env.versions.common;

/** Bundled ones, and those whose library the package's install script has fetched. */
export function installedProviders(): readonly string[] {
  return listSupportedBackends()
    .filter(({ name, bundled }) => bundled || existsSync(providerLibrary(name)))
    .map(({ name }) => name);
}

/** Where onnxruntime-node 1.30 keeps a provider that it does not bundle. */
function providerLibrary(name: string): string {
  const dist = dirname(createRequire(import.meta.url).resolve('onnxruntime-node'));
  const { platform, arch } = process;
  const file =
    platform === 'win32'
      ? `onnxruntime_providers_${name}.dll`
      : `libonnxruntime_providers_${name}.so`;
  return join(dist, '..', 'bin', 'napi-v6', platform, arch, file);
}

/**
 * @param onDevice outputs that stay where they were computed, to be fed back; ignored on the CPU.
 * @throws ModelError when the graph cannot be loaded.
 */
export async function openSession(
  path: string,
  choice: ProviderChoice,
  threads: number,
  onDevice: readonly string[] = [],
): Promise<Session> {
  if (!existsSync(path)) throw new ModelError(path, 'no such file', 'an ONNX graph');
  let session: InferenceSession;
  try {
    session = await InferenceSession.create(path, options(choice, threads, onDevice));
  } catch (error) {
    const got = messageOf(error).trim();
    throw new ModelError(
      path,
      got,
      adviceFor(choice.provider, got, `a graph ${choice.provider} can load`),
    );
  }
  return {
    path,
    run: async (feeds, outputs) => {
      try {
        return await session.run({ ...feeds }, [...outputs]);
      } catch (error) {
        const got = messageOf(error).trim();
        throw new ModelError(path, got, adviceFor(choice.provider, got, 'a run without an error'));
      }
    },
    release: () => session.release(),
  };
}

/** What would have let the session open, or the graph run. @param expected where nobody knows better. */
export function adviceFor(
  provider: ProviderChoice['provider'],
  message: string,
  expected: string,
): string {
  if (/out of memory|ALLOC(ATION)?_FAILED|failed to allocate memory|bad_alloc/i.test(message)) {
    const isHost = provider === 'cpu' || /bad_alloc|HOST_ALLOCATION/.test(message);
    const smallest = provider === 'cuda' ? '--weights int4 --compute fp16' : '--weights int4';
    return `more free memory${isHost ? '' : ' of the device'}, or a smaller model: ${smallest} takes the least`;
  }
  if (provider === 'cuda' && /failed to load shared library|CU[A-Z]+ failure/i.test(message)) {
    return cudaAdvice(providerLibrary('cuda'));
  }
  if (provider === 'webgpu' && message.includes('WebGPU adapter')) {
    return 'a GPU with a driver for Vulkan (Linux: libvulkan1 and a driver; vulkaninfo --summary lists devices), Direct3D 12 or Metal';
  }
  if (provider === 'webgpu' && message.includes('requires f16')) {
    return 'a device with float16 (shader-f16), or a model converted with --compute fp32';
  }
  return expected;
}

function options(
  { provider }: ProviderChoice,
  threads: number,
  onDevice: readonly string[],
): InferenceSession.SessionOptions {
  return {
    executionProviders: provider === 'cpu' ? ['cpu'] : [provider, 'cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    logSeverityLevel: 3,
    // Threads that spin while they wait take the cores from the control timer and from each other.
    extra: { session: { intra_op: { allow_spinning: '0' } } },
    ...(provider === 'webgpu' && onDevice.length > 0
      ? {
          preferredOutputLocation: Object.fromEntries(
            onDevice.map((name) => [name, 'gpu-buffer' as const]),
          ),
        }
      : {}),
  };
}

// ── Tensors in and out ──────────────────────────────────────────────────────────────────────────────────────────────

/** The data is borrowed until the run it is fed to has returned. */
export function float32Tensor(shape: readonly number[], data: Float32Array): OpaqueTensor {
  return new Tensor('float32', data, shape);
}

export function int64Tensor(shape: readonly number[], values: readonly number[]): OpaqueTensor {
  return new Tensor('int64', BigInt64Array.from(values, BigInt), shape);
}

export function int32Tensor(shape: readonly number[], values: readonly number[]): OpaqueTensor {
  return new Tensor('int32', Int32Array.from(values), shape);
}

/** A tensor without elements: one of the shape's extents is 0. */
export function emptyTensor(type: 'float32' | 'float16', shape: readonly number[]): OpaqueTensor {
  return type === 'float32'
    ? new Tensor('float32', new Float32Array(0), shape)
    : new Tensor('float16', new Uint16Array(0), shape);
}

/** fp32 data of a tensor on the CPU; a view, not a copy. */
export function float32Data(tensor: OpaqueTensor | undefined, name: string): Float32Array {
  const data = dataOf(tensor, name);
  if (data instanceof Float32Array) return data;
  throw new ModelError(`output ${name}`, data.constructor.name, 'Float32Array');
}

export function int64Data(tensor: OpaqueTensor | undefined, name: string): readonly number[] {
  const data = dataOf(tensor, name);
  if (data instanceof BigInt64Array) return Array.from(data, Number);
  throw new ModelError(`output ${name}`, data.constructor.name, 'BigInt64Array');
}

function dataOf(tensor: OpaqueTensor | undefined, name: string) {
  if (!tensor) throw new ModelError(`output ${name}`, 'nothing', 'a tensor');
  return tensor.data;
}
