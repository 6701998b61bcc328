/**
 * The only file that knows onnxruntime-node. Creating a session and running it block the thread they are called on:
 * both belong in the inference worker.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { InferenceSession, Tensor, listSupportedBackends } from 'onnxruntime-node';
import { ModelError } from '../errors.js';

export type ProviderSetting = 'auto' | 'cuda' | 'webgpu' | 'cpu';

/** What runs the graphs, and one sentence why. */
export interface ProviderChoice {
  readonly provider: 'cuda' | 'webgpu' | 'cpu';
  readonly reason: string;
}

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

/**
 * `auto` takes CUDA where its provider is installed and the CPU elsewhere. WebGPU is taken only on request: the
 * decode loop has no WebGPU form, so it pays only for large models on a real GPU.
 */
export function chooseProvider(
  setting: ProviderSetting,
  installed: readonly string[] = installedProviders(),
): ProviderChoice {
  if (setting === 'auto') {
    return installed.includes('cuda')
      ? { provider: 'cuda', reason: 'auto: the CUDA provider is installed' }
      : { provider: 'cpu', reason: `auto: no CUDA provider among ${installed.join(', ')}` };
  }
  if (!installed.includes(setting)) {
    throw new ModelError('provider', setting, `one of ${installed.join(', ')}, auto`);
  }
  return { provider: setting, reason: 'as configured' };
}

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
    throw new ModelError(path, (error as Error).message, `a graph ${choice.provider} can load`);
  }
  return {
    path,
    run: async (feeds, outputs) => {
      try {
        return await session.run({ ...feeds }, [...outputs]);
      } catch (error) {
        throw new ModelError(path, (error as Error).message, 'a run without an error');
      }
    },
    release: () => session.release(),
  };
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
