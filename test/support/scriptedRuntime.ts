/** A Runtime that answers with given ids, and remembers what it was asked. */
import type { Tokens } from '../../src/model/decoding.js';
import type { GenerationRequest } from '../../src/model/generation.js';
import type { Runtime } from '../../src/model/runtime.js';
import type { CropTensor } from '../../src/image/pixels.js';

export interface ScriptedRuntime {
  readonly runtime: Runtime;
  readonly requests: GenerationRequest[];
  readonly crops: CropTensor[];
  /** Beginnings that were read for several questions. */
  readonly prefixes: Pick<GenerationRequest, 'ids' | 'pictures'>[];
  /** Ids of the next answers. */
  ids: readonly number[];
  logProbability: number;
}

export function scriptedRuntime(vocabulary: number): ScriptedRuntime {
  const tokensOf = (ids: readonly number[], ended: Tokens['ended']): Tokens => ({
    tokens: ids,
    logProbabilities: ids.map(() => script.logProbability),
    actionMass: ids.map((_, i) => 1 - i / 100),
    ended,
  });
  const script: ScriptedRuntime = {
    requests: [],
    crops: [],
    prefixes: [],
    ids: [],
    logProbability: Math.log(0.5),
    runtime: {
      manifest: {
        builder: '0',
        sha256: '00',
        decoder: {
          layers: 1,
          hiddenSize: 2,
          keyValueHeads: 1,
          headDim: 2,
          vocabulary,
          maxPositions: 8192,
          keyValueType: 'float32',
          weights: 'fp32',
        },
        vision: { stride: 16, towers: 1, cropSize: null },
        files: {},
      },
      provider: { provider: 'cpu', reason: 'scripted' },
      vision: {
        encode: (crops) => {
          script.crops.push(crops);
          // One token a crop.
          const count = crops.canvas.rows * crops.canvas.cols;
          return Promise.resolve({ count, data: new Float32Array(2 * count) });
        },
        release: () => Promise.resolve(),
      },
      generator: {
        decoding: { kind: 'loop', reason: 'scripted' },
        generate: (request) => {
          script.requests.push(request);
          return Promise.resolve(tokensOf(script.ids, 'eos'));
        },
        async *slices(request, sliceTokens) {
          script.requests.push(request);
          for (let at = 0; at < script.ids.length; at += sliceTokens) {
            await Promise.resolve();
            yield tokensOf(script.ids.slice(at, at + sliceTokens), 'length');
          }
        },
        prefix: (beginning) => {
          script.prefixes.push(beginning);
          const { generator } = script.runtime;
          return Promise.resolve({
            positions: beginning.ids.length,
            generate: (request) => generator.generate(request),
            slices: (request, sliceTokens) => generator.slices(request, sliceTokens),
            release: () => undefined,
          });
        },
        release: () => Promise.resolve(),
      },
      release: () => Promise.resolve(),
    },
  };
  return script;
}
