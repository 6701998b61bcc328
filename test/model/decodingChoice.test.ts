/** A loop that is not the decoder it should be is found at every load, and the step graph used instead. */
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { copyFileSync, cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildGraphs } from '../../src/convert/build.js';
import { openCheckpoint } from '../../src/convert/checkpoint.js';
import { readCheckpointConfig } from '../../src/convert/checkpointConfig.js';
import { storeDecoder } from '../../src/convert/decoder.js';
import { decodeGraph } from '../../src/convert/decoderGraphs.js';
import { ExternalData } from '../../src/convert/external.js';
import { Graph, modelBytes } from '../../src/convert/onnx.js';
import { openWeightStore, plainFormat, type WeightStore } from '../../src/convert/weightStore.js';
import { joinSlices } from '../../src/model/decoding.js';
import { openRuntime } from '../../src/model/runtime.js';
import {
  expectedCases,
  magmaLayout,
  temporaryFolder,
  tinyMagmaFolder,
} from '../support/tinyMagma.js';
import { collect, tinyRequest } from '../support/tinyRequests.js';

const cpu = { provider: 'cpu', threads: 1 } as const;
const temporary = temporaryFolder();
let folder: string;
beforeAll(() => {
  ({ folder } = buildGraphs(tinyMagmaFolder, magmaLayout, temporary.path, () => undefined));
});
afterAll(() => temporary.remove());

/** What a node of the loop graph reads instead. */
type Mutation = (graph: Graph, operator: string, inputs: readonly string[]) => readonly string[];

/** Compares with an id that no token has. */
const endsNever: Mutation = (graph, operator, inputs) =>
  operator === 'Equal' ? [inputs[0]!, graph.constant('int64', [1], [-2])] : inputs;

/** Every round rotates its queries and keys as the first one did. */
const staysWhereItIs: Mutation = (graph, operator, inputs) =>
  operator === 'Add' && inputs[0] === 'roundLastPosition'
    ? [inputs[0], graph.constant('int32', [1], [0])]
    : inputs;

const countsNoActions: Mutation = (_graph, operator, inputs) =>
  operator === 'Slice' && inputs[0]!.startsWith('LogSoftmax')
    ? [inputs[0]!, inputs[1]!, inputs[1]!, inputs[3]!]
    : inputs;

/** The right weights in a loop graph built with a mistake. */
function mutatedLoop(folderOfLoop: string, mutation: Mutation): Uint8Array {
  const config = readCheckpointConfig(join(tinyMagmaFolder, 'config.json'), magmaLayout);
  const checkpoint = openCheckpoint(tinyMagmaFolder);
  const external = new ExternalData(join(folderOfLoop, 'mutated.weights'));
  const right = Object.getOwnPropertyDescriptor(Graph.prototype, 'node')!.value as Graph['node'];
  const spy = jest.spyOn(Graph.prototype, 'node').mockImplementation(function (
    this: Graph,
    operator,
    inputs,
    outputs,
    attributes,
  ) {
    right.call(this, operator, mutation(this, operator.name, inputs), outputs, attributes);
  });
  try {
    const store = openWeightStore(checkpoint, external, plainFormat);
    const weights = storeDecoder(config.decoder, store);
    return modelBytes(decodeGraph(weights));
  } finally {
    spy.mockRestore();
    external.close();
    checkpoint.close();
  }
}

describe('the self-test', () => {
  it('falls back to the step graph, and says why, when the loop answers differently', async () => {
    const other = temporaryFolder();
    cpSync(folder, other.path, { recursive: true });
    // The loop of another decoder: its key and value heads read each other's weights.
    const config = readCheckpointConfig(join(tinyMagmaFolder, 'config.json'), magmaLayout);
    const checkpoint = openCheckpoint(tinyMagmaFolder);
    const external = new ExternalData(join(other.path, 'other.weights'));
    const store = openWeightStore(checkpoint, external, plainFormat);
    const swapped: WeightStore = {
      ...store,
      linear: (name, parts, inputs) => {
        const keysOnly = parts.map(({ key, out }) => ({
          key: key.replace('v_proj', 'k_proj'),
          out,
        }));
        return store.linear(name, keysOnly, inputs);
      },
    };
    const weights = storeDecoder(config.decoder, swapped);
    writeFileSync(join(other.path, 'decode.onnx'), modelBytes(decodeGraph(weights)));
    external.close();
    checkpoint.close();

    const fallback = await openRuntime(other.path, cpu);
    expect(fallback.generator.decoding.kind).toBe('step');
    expect(fallback.generator.decoding.reason).toMatch(/decode\.onnx: self-test: got tokens .*/);
    const answer = await fallback.generator.generate(await tinyRequest(fallback, 'oneCrop'));
    expect(answer.tokens).toEqual(expectedCases['oneCrop']!.tokens);
    const sliced = await collect(
      fallback.generator.slices(await tinyRequest(fallback, 'oneCrop'), 7),
    );
    expect(joinSlices(sliced).tokens).toEqual(expectedCases['oneCrop']!.tokens);
    await fallback.release();
    other.remove();
  });

  it.each<[string, Mutation, RegExp]>([
    ['never ends', endsNever, /end at \d+: got tokens/],
    ['does not count its positions', staysWhereItIs, /self-test: got tokens/],
    ['counts no action ids', countsNoActions, /self-test: got actionMass/],
  ])('falls back to the step graph when the loop %s', async (_name, mutation, reason) => {
    const other = temporaryFolder();
    cpSync(folder, other.path, { recursive: true });
    writeFileSync(join(other.path, 'decode.onnx'), mutatedLoop(other.path, mutation));
    const fallback = await openRuntime(other.path, cpu);
    expect(fallback.generator.decoding.kind).toBe('step');
    expect(fallback.generator.decoding.reason).toMatch(reason);
    await fallback.release();
    other.remove();
  });

  it('falls back to the step graph when the loop does not load', async () => {
    const other = temporaryFolder();
    cpSync(folder, other.path, { recursive: true });
    copyFileSync(join(folder, 'decoder.weights'), join(other.path, 'decode.onnx'));
    const fallback = await openRuntime(other.path, cpu);
    expect(fallback.generator.decoding.kind).toBe('step');
    expect(fallback.generator.decoding.reason).toContain('expected a graph cpu can load');
    await fallback.release();
    other.remove();
  });
});
