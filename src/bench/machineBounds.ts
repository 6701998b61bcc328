/**
 * What a machine can do at best, measured through the same provider that runs the model: bytes per second from memory
 * larger than the caches, and multiplications of large matrices. Graphs make their data on the device and do the same thing
 * once or nine times; the difference of the two is free of transfers and of making the data.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Graph, modelBytes, type Value } from '../convert/onnx.js';
import {
  add,
  cast,
  constantOfShape,
  matMul,
  reduceMax,
  rename,
  reshape,
  slice,
  squeeze,
} from '../convert/ops.js';
import type { ComputeType } from '../convert/weightStore.js';
import {
  float32Tensor,
  int64Tensor,
  openSession,
  type ProviderChoice,
  type Session,
} from '../model/session.js';

export interface MachineBounds {
  /** GB/s (1e9): reading alone; reading and writing as much. The larger is what memory can do. */
  readonly readGbPerSecond: number;
  readonly copyGbPerSecond: number;
  /** GFLOP/s (1e9) of matrix products, in the compute type. */
  readonly gemmGflopPerSecond: number;
}

export interface BoundsOptions {
  readonly provider: ProviderChoice;
  readonly threads: number;
  readonly compute: ComputeType;
  /** Of the buffer that is read and copied, bytes: several times the last cache. */
  readonly bytes: number;
  /** Rows, columns and depth of the matrices. */
  readonly side: number;
  readonly nowNs: () => bigint;
}

const few = 1;
const many = 9;
const rounds = 5;
/** Rows double in length with every step. */
const shortestRow = 512;
const rowLength = shortestRow * 2 ** (many - 1);

/** @throws ModelError where the provider cannot run a product of matrices. */
export async function measureBounds(options: BoundsOptions): Promise<MachineBounds> {
  const { bytes, side } = options;
  const rows = Math.max(1, Math.floor(bytes / 4 / rowLength));
  const [read, copy, product] = [readGraph, copyGraph, productGraph(options.compute)];
  const readSeconds = await secondsPerStep(options, read, [rows, rowLength]);
  const copySeconds = await secondsPerStep(options, copy, [rows, rowLength]);
  const productSeconds = await secondsPerStep(options, product, [side, side]);
  const buffer = 4 * rows * rowLength;
  return {
    readGbPerSecond: buffer / readSeconds / 1e9,
    copyGbPerSecond: (2 * buffer) / copySeconds / 1e9,
    gemmGflopPerSecond: (2 * side ** 3) / productSeconds / 1e9,
  };
}

type StepGraph = (g: Graph, data: Value, scalar: Value, steps: number) => Value;

/** Of one step more: the quickest of several rounds, for what else runs on the machine only slows it down. */
async function secondsPerStep(
  { provider, threads, nowNs }: BoundsOptions,
  build: StepGraph,
  shape: readonly [number, number],
): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'magma-vla-bounds-'));
  const sessions: Session[] = [];
  try {
    for (const steps of [few, many]) {
      const path = join(folder, `${steps}.onnx`);
      writeFileSync(path, modelBytes(graphOf(build, steps)));
      sessions.push(await openSession(path, provider, threads));
    }
    const scalar = float32Tensor([], Float32Array.of(1e-3));
    const feeds = { shape: int64Tensor([2], shape), scalar };
    const quickest = [Infinity, Infinity];
    // The first round claims memory and compiles what the others use.
    for (let round = 0; round <= rounds; round++) {
      for (const [i, session] of sessions.entries()) {
        const started = nowNs();
        await session.run(feeds, ['result']);
        const seconds = Number(nowNs() - started) / 1e9;
        if (round > 0) quickest[i] = Math.min(quickest[i]!, seconds);
      }
    }
    const [short, long] = [quickest[0]!, quickest[1]!];
    // On a machine so busy that nine steps take no longer than one, what is known is an upper limit.
    return long > short ? (long - short) / (many - few) : long / many;
  } finally {
    for (const session of sessions) await session.release();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The result is one number, so that nothing large comes back. */
function graphOf(build: StepGraph, steps: number): Graph {
  const g = new Graph('bounds');
  const shape = g.input('shape', 'int64', [2]);
  const scalar = g.input('scalar', 'float32', []);
  // From inputs: what is constant would be computed while the session opens.
  const data = add(g, constantOfShape(g, shape), scalar);
  rename(g, build(g, data, scalar, steps), 'result');
  g.output('result', 'float32', [1]);
  return g;
}

/** x + s again and again: every step reads the buffer and writes it. */
const copyGraph: StepGraph = (g, data, scalar, steps) => {
  let x = data;
  for (let i = 0; i < steps; i++) x = add(g, x, scalar);
  return firstElement(g, x);
};

/** The largest of every row, each step with rows of another length: equal steps would be done once. */
const readGraph: StepGraph = (g, data, scalar, steps) => {
  let sum = firstElement(g, data);
  for (let i = 0; i < steps; i++) {
    const rows = reshape(g, data, g.constant('int64', [2], [-1, shortestRow * 2 ** i]));
    sum = add(g, sum, first(g, reduceMax(g, rows), 0));
  }
  return add(g, sum, scalar);
};

/** y · x again and again. */
const productGraph =
  (compute: ComputeType): StepGraph =>
  (g, data, _scalar, steps) => {
    const x = compute === 'float32' ? data : cast(g, data, compute);
    let y = x;
    for (let i = 0; i < steps; i++) y = matMul(g, y, x);
    return firstElement(g, compute === 'float32' ? y : cast(g, y, 'float32'));
  };

/** [R,C] → [1] */
const firstElement = (g: Graph, x: Value): Value => squeeze(g, first(g, first(g, x, 0), 1), [1]);

function first(g: Graph, x: Value, axis: number): Value {
  return slice(g, x, g.constant('int64', [1], [0]), g.constant('int64', [1], [1]), axis);
}
