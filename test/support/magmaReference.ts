/** The cases of test/oracle/magma_reference.py, and how each of them is put to our own code. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { GenerationRequest } from '../../src/model/generation.js';
import { recipeOf, seePictures } from '../../src/model/pictures.js';
import {
  actionPrompt,
  questionPrompt,
  tracePrompt,
  type PromptIds,
} from '../../src/model/prompt.js';
import { Stopwatch } from '../../src/model/stopwatch.js';
import { joined, openExpected, readJson, recordingEncoder, referencePicture } from './reference.js';
import { convertReference, type ReferenceFormat, type ReferenceModel } from './referenceModel.js';

export const magmaFolder = fileURLToPath(new URL('../golden/magmaReference', import.meta.url));
const magma8b = fileURLToPath(new URL('../golden/magma8b', import.meta.url));

export interface MagmaCase {
  /** Width, height of the camera's picture. */
  readonly size: readonly [number, number];
  readonly request: {
    readonly instruction: string;
    readonly marks?: readonly number[];
    readonly frames?: number;
  };
  readonly ids: readonly number[];
  /** Rows and columns of crops, per picture. */
  readonly grids: readonly (readonly [number, number])[];
  readonly positions: number;
  readonly tokens: readonly number[];
  readonly text: string;
}

export const { cases: magmaCases } = readJson(magmaFolder, 'expected.json') as {
  cases: Record<string, MagmaCase>;
};
export const expectedOfMagma = openExpected(magmaFolder);

/** Converts the tiny checkpoint and opens it. @param out a model folder to be made. */
export function convertMagma(out: string, format?: ReferenceFormat): Promise<ReferenceModel> {
  const statistics = join(magma8b, 'dataset_statistics.json');
  return convertReference(magmaFolder, out, { statistics, unnormKey: 'bridge_orig' }, format);
}

export function magmaPrompt(name: string, { contract, tokenizer }: ReferenceModel): PromptIds {
  const { request } = magmaCases[name]!;
  const prompt =
    name === 'action'
      ? actionPrompt(contract, tokenizer, request)
      : name === 'trace'
        ? tracePrompt(contract, tokenizer, request)
        : questionPrompt(name as 'question' | 'interface' | 'video', contract, tokenizer, request);
  if (!prompt.ok) throw new Error(prompt.refusal.message);
  return prompt.value;
}

export interface Asked {
  readonly request: GenerationRequest;
  /** Of all crops of all pictures. */
  readonly pixels: Float32Array;
}

/** Puts a case to our own code, up to the request that the decoder gets. */
export async function askMagma(name: string, model: ReferenceModel): Promise<Asked> {
  const [width, height] = magmaCases[name]!.size;
  const { ids, images } = magmaPrompt(name, model);
  const shown = images.map(({ segment }, frame) => ({
    source: referencePicture(width, height, frame),
    segment,
  }));
  const { contract, tokenizer, runtime } = model;
  const { encoder, crops } = recordingEncoder(runtime.vision);
  // No marks are drawn: the oracle's pictures are made without them.
  const visual = await seePictures(shown, [], recipeOf(contract), encoder, new Stopwatch(() => 0));
  const pictures = images.map(({ position }, i) => ({ position, visual: visual[i]! }));
  const eosIds = [tokenizer.idOf(contract.tokens.eos)];
  const maxTokens = magmaCases[name]!.tokens.length + 4;
  const request = { ids, pictures, maxTokens, eosIds, actionIds: { first: 256, end: 512 } };
  return { request, pixels: joined(crops.map(({ pixels }) => pixels)) };
}
