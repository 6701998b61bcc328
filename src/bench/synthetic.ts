/**
 * A public architecture with random weights, from camera picture to action tokens, on this machine: what it takes to load,
 * to answer and to hold, and how far that is from what memory and arithmetic allow. What it answers means nothing.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { graphsFolder } from '../convert/build.js';
import type { SyntheticName } from '../convert/syntheticFolder.js';
import type { WeightFormat } from '../convert/weightStore.js';
import type { GenerationRequest } from '../model/generation.js';
import { Predictor, readModelParts } from '../model/predictor.js';
import type { ModelSettings } from '../model/protocol.js';
import { referenceFile } from '../model/reference.js';
import { openRuntime, type Runtime } from '../model/runtime.js';
import {
  chooseProvider,
  proveProvider,
  runtimeVersion,
  type ProviderSetting,
} from '../model/session.js';
import type { Observation, Timing } from '../types.js';
import { answerCost, type AnswerCost } from './answerCost.js';
import { makeCameras } from './cameras.js';
import { measureBounds, type MachineBounds } from './machineBounds.js';
import { publicTextTokens, withTextTokens } from './publicPrompt.js';
import { spreadOf, type Spread } from './spread.js';
import { makeSyntheticModel, type SyntheticModel } from './syntheticModel.js';

export interface SyntheticBenchOptions {
  readonly name: SyntheticName;
  readonly size: 'full' | 'tiny';
  /** Of the decoder; default: all of them. */
  readonly layers?: number;
  readonly format: WeightFormat;
  readonly provider: ProviderSetting;
  readonly threads: number;
  /** Answers that are measured, after one that is not. */
  readonly rounds: number;
  /** Where the graphs are made. */
  readonly folder: string;
  readonly afterwards: 'delete' | 'keep';
  /** A steady clock; or the CPU time of this process, on a machine that others use too. */
  readonly clock: 'wall' | 'cpu';
  readonly nowNs: () => bigint;
  readonly say: (line: string) => void;
}

/** MB (1e6). Resident memory counts pages of mapped weight files, which the system may drop; anonymous memory does not. */
export interface Memory {
  /** Before the model is loaded. */
  readonly baselineMb: number;
  /** While it is loaded, the first time included where it was one. */
  readonly loadPeakMb: number;
  /** While it answers; elsewhere than on Linux while it is loaded too. */
  readonly peakMb: number;
  readonly steadyMb: number;
  /** Linux only; null elsewhere. */
  readonly steadyAnonymousMb: number | null;
}

export interface SyntheticBenchResult {
  readonly model: SyntheticName;
  readonly size: 'full' | 'tiny';
  readonly layers: number;
  readonly format: WeightFormat;
  readonly provider: Runtime['provider'];
  readonly decoding: Runtime['generator']['decoding'];
  readonly threads: number;
  /** What every time below counts: cpu is that of all threads together. */
  readonly clock: 'wall' | 'cpu';
  readonly machine: {
    readonly processor: string;
    readonly cores: number;
    readonly memoryMb: number;
    readonly runtime: string;
    readonly node: string;
  };
  readonly bytes: number;
  readonly makeSeconds: number | null;
  /** The first load records what the CPU answers, which a later one only compares with; null: it was recorded before. */
  readonly firstLoadSeconds: number | null;
  readonly loadSeconds: number;
  readonly positions: number;
  readonly rounds: number;
  /** Tokens of an action, its end included. */
  readonly answerTokens: number;
  readonly answerMs: Spread;
  readonly preprocessMs: Spread;
  readonly visionMs: Spread;
  /** Prompt and first token; each further token. */
  readonly prefillMs: Spread;
  readonly tokenMs: Spread;
  readonly memory: Memory;
  readonly bounds: MachineBounds;
  readonly cost: AnswerCost;
  /**
   * What the bounds allow, over what was measured. Vision and prompt are compared with products in the compute type: weights
   * of whole numbers may be multiplied faster, and come above 1 (int4 on one core with AVX-512 VNNI: 1.5).
   */
  readonly shareOfBound: {
    readonly vision: number;
    readonly prefill: number;
    readonly token: number;
    readonly answer: number;
  };
}

/** An empty file in a model's folder that `--keep` was given for. */
const keptMark = 'kept';

/** Of the buffer and of the matrices; tiny ones only show that it runs. */
const boundsSizes = {
  tiny: { bytes: 2 ** 24, side: 128 },
  cpu: { bytes: 2 ** 28, side: 1024 },
  device: { bytes: 2 ** 30, side: 4096 },
} as const;

/** @throws ModelError where the graphs or the provider cannot be used, ConfigError, StorageError. */
export async function benchSynthetic(
  options: SyntheticBenchOptions,
): Promise<SyntheticBenchResult> {
  const { name, size, layers, format, folder, nowNs, say } = options;
  const provider = chooseProvider(options.provider);
  await proveProvider(provider, format.compute);
  // 1. What the machine can do.
  say('measuring memory and matrix products');
  const onDevice = provider.provider !== 'cpu';
  const bounds = await measureBounds({
    ...{ provider, threads: options.threads, compute: format.compute, nowNs },
    ...(size === 'tiny' ? boundsSizes.tiny : boundsSizes[onDevice ? 'device' : 'cpu']),
  });
  // 2. The model.
  const started = nowNs();
  const model = makeSyntheticModel(
    folder,
    { name, size, format, ...(layers === undefined ? {} : { layers }) },
    (bytes) =>
      say(
        `making ${(bytes / 1e9).toFixed(2)} GB of graphs in ${folder}${options.afterwards === 'delete' ? ', deleted afterwards (--keep keeps them)' : ''}`,
      ),
    tenths(say),
  );
  const makeSeconds = model.origin === 'made' ? secondsSince(started, nowNs) : null;
  const mark = join(model.folder, keptMark);
  try {
    const measured = await measure(options, model, bounds);
    if (options.afterwards === 'keep') writeFileSync(mark, '');
    return { ...measured, makeSeconds };
  } finally {
    // What was kept on purpose stays; what a run that was killed left behind does not.
    if (options.afterwards === 'delete' && !existsSync(mark)) {
      rmSync(model.folder, { recursive: true, force: true });
    }
  }
}

async function measure(
  options: SyntheticBenchOptions,
  { folder, config, bytes }: SyntheticModel,
  bounds: MachineBounds,
): Promise<Omit<SyntheticBenchResult, 'makeSeconds'>> {
  const { name, size, format, threads, rounds, clock, nowNs, say } = options;
  // 3. Loading, twice: the first time takes the most memory.
  const memory = new MemoryWatch();
  const graphs = join(folder, graphsFolder);
  const open = () => openRuntime(graphs, { provider: options.provider, threads });
  let firstLoadSeconds: number | null = null;
  if (!existsSync(join(graphs, referenceFile))) {
    say('loading it once, to record what the CPU answers');
    const begun = nowNs();
    const first = await open();
    firstLoadSeconds = secondsSince(begun, nowNs);
    await first.release();
  }
  say('loading it');
  const started = nowNs();
  const runtime = await open();
  const loadSeconds = secondsSince(started, nowNs);
  const loadPeakMb = memory.peakMb();
  memory.restart();
  // 4. Answers, and their parts.
  try {
    const asked: GenerationRequest[] = [];
    const predictor = predictorOf(folder, watched(runtime, publicTextTokens[name], asked), options);
    const observation = await observationFor();
    const timings: Timing[] = [];
    const prefills: number[] = [];
    for (let round = 0; round <= rounds; round++) {
      say(round === 0 ? 'warming up' : `answer ${round} of ${rounds}`);
      const { timing } = await predictor.predictAction(observation);
      const request = asked.at(-1)!;
      const begun = nowNs();
      await runtime.generator.generate({ ...request, maxTokens: 1 });
      if (round === 0) continue;
      timings.push(timing);
      prefills.push(1e3 * secondsSince(begun, nowNs));
    }
    const request = asked.at(-1)!;
    const visualTokens = request.pictures.reduce((sum, { visual }) => sum + visual.count, 0);
    const positions = request.ids.length - request.pictures.length + visualTokens;
    const cropSize =
      predictor.contract.recipes[predictor.contract.towers[0]!.recipe]!.canvas.cropSize;
    // An action's picture is one crop in both architectures.
    const crops = request.pictures.length;
    const sizes = { crops, cropSize, visualTokens, positions };
    const cost = answerCost(config, runtime.manifest, sizes);
    const answerTokens = request.maxTokens;
    const tokens = timings.map(
      (timing, i) => (timing.generateMs - prefills[i]!) / (answerTokens - 1),
    );
    const of = (stage: keyof Timing): Spread => spreadOf(timings.map((timing) => timing[stage]));
    const result = {
      answerMs: of('totalMs'),
      preprocessMs: of('preprocessMs'),
      visionMs: of('visionMs'),
      prefillMs: spreadOf(prefills),
      tokenMs: spreadOf(tokens),
    };
    return {
      ...{
        model: name,
        size,
        layers: config.decoder.layers,
        format,
        threads,
        rounds,
        clock,
        bytes,
      },
      ...{ provider: runtime.provider, decoding: runtime.generator.decoding },
      machine: machine(),
      ...{ firstLoadSeconds, loadSeconds, positions, answerTokens, ...result, bounds, cost },
      memory: { ...memory.now(), loadPeakMb },
      shareOfBound: shares(cost, bounds, result, answerTokens),
    };
  } finally {
    await runtime.release();
  }
}

/** The least time over the measured one. */
function shares(
  { visionFlop, promptFlop, tokenBytes }: AnswerCost,
  { gemmGflopPerSecond, readGbPerSecond, copyGbPerSecond }: MachineBounds,
  measured: Pick<SyntheticBenchResult, 'answerMs' | 'visionMs' | 'prefillMs' | 'tokenMs'>,
  answerTokens: number,
): SyntheticBenchResult['shareOfBound'] {
  const memory = Math.max(readGbPerSecond, copyGbPerSecond) * 1e6;
  const vision = visionFlop / (gemmGflopPerSecond * 1e6);
  const prefill = promptFlop / (gemmGflopPerSecond * 1e6);
  const token = tokenBytes / memory;
  return {
    vision: vision / measured.visionMs.p50,
    prefill: prefill / measured.prefillMs.p50,
    token: token / measured.tokenMs.p50,
    answer: (vision + prefill + (answerTokens - 1) * token) / measured.answerMs.p50,
  };
}

/** Is asked with prompts of the public length, and remembers them. */
function watched(runtime: Runtime, textTokens: number, asked: GenerationRequest[]): Runtime {
  const { generator } = runtime;
  const generate: typeof generator.generate = (given) => {
    const request = withTextTokens(given, textTokens);
    asked.push(request);
    return generator.generate(request);
  };
  return { ...runtime, generator: { ...generator, generate } };
}

function predictorOf(
  folder: string,
  runtime: Runtime,
  { provider, threads, nowNs }: SyntheticBenchOptions,
): Predictor {
  const settings: ModelSettings = {
    ...{ folder, cache: folder, provider, threads, sliceTokens: 16 },
    robot: { robot: 'bench', baseFrame: 'base_link' },
    cameras: { camera: 'primary' },
  };
  const parts = readModelParts(settings);
  const { dims, chunk } = parts.contract.answers.action;
  const length = dims.length * chunk + 1;
  const fixedLength = { action: length, trace: length };
  const nowMs = (): number => Number(nowNs()) / 1e6;
  return new Predictor(parts, runtime, { ...settings, fixedLength }, nowMs);
}

/** One 640×480 JPEG and a short instruction, as a robot's camera gives them. */
async function observationFor(): Promise<Observation> {
  const camera = (await makeCameras()).find(({ height }) => height === 480)!;
  const stampNs = 0n;
  const data = camera.frames[0]!;
  const image = { kind: 'compressed', stampNs, frameId: 'camera', format: 'jpeg', data } as const;
  return {
    ...{ stampNs, episode: 0, instruction: 'pick up the red block' },
    images: { camera: image },
    ...{ joints: null, endEffector: null, gripper: null },
  };
}

function machine(): SyntheticBenchResult['machine'] {
  return {
    processor: cpus()[0]?.model ?? process.arch,
    cores: cpus().length,
    memoryMb: totalmem() / 1e6,
    runtime: `onnxruntime-node ${runtimeVersion}`,
    node: process.version,
  };
}

/** Peaks since it was made: Linux lets a process forget its highest mark; elsewhere the mark is that of the process. */
class MemoryWatch {
  readonly #baselineMb: number;

  constructor() {
    this.#baselineMb = process.memoryUsage.rss() / 1e6;
    this.restart();
  }

  /** Peaks count from now on. */
  restart(): void {
    try {
      writeFileSync('/proc/self/clear_refs', '5');
    } catch {
      // No Linux, or not allowed: peaks then include what came before.
    }
  }

  peakMb(): number {
    const mark = statusKb('VmHWM');
    return mark === null ? process.resourceUsage().maxRSS / 1e3 : (mark * 1024) / 1e6;
  }

  now(): Omit<Memory, 'loadPeakMb'> {
    const anonymous = statusKb('RssAnon');
    return {
      baselineMb: this.#baselineMb,
      peakMb: this.peakMb(),
      steadyMb: process.memoryUsage.rss() / 1e6,
      steadyAnonymousMb: anonymous === null ? null : (anonymous * 1024) / 1e6,
    };
  }
}

/** A line of /proc/self/status, KiB; null where there is none. */
function statusKb(name: string): number | null {
  try {
    const line = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm');
    const found = line.exec(readFileSync('/proc/self/status', 'utf8'));
    return found ? Number(found[1]) : null;
  } catch {
    return null;
  }
}

const secondsSince = (started: bigint, nowNs: () => bigint): number =>
  Number(nowNs() - started) / 1e9;

function tenths(say: (line: string) => void): (fraction: number) => void {
  let last = 0;
  return (fraction) => {
    const tenth = Math.floor(10 * fraction);
    if (tenth > last) say(`random weights: ${10 * tenth} %`);
    last = tenth;
  };
}
