/**
 * One Set-of-Mark / Trace-of-Mark training sample: numbered marks drawn on a picture, and the text that says which of them
 * will move and where to (Magma's ToM, arXiv 2502.13130 Alg. 2; here the true motion is known, so nothing is tracked).
 */
import { drawMarks } from '../image/marks.js';
import type { Random } from '../math/random.js';
import { idsFromText } from '../model/answerText.js';
import type { Contract } from '../model/contract.js';
import { tracePrompt } from '../model/prompt.js';
import type { Tokenizer } from '../model/tokenizer.js';
import { cellFromPixel, cellsOf, formatTrace } from '../model/traceGrammar.js';
import type { Mark, Pixel, RgbImage } from '../types.js';

/** A mark that stays within this many grid cells of its start over the whole horizon rests. */
const restingCells = 4;

/** A point of the scene now and at each of the coming steps, source-image pixels. */
export interface MovingPoint {
  readonly name: string;
  readonly at: readonly Pixel[];
}

export interface MarkedSample {
  readonly image: RgbImage;
  readonly marks: readonly Mark[];
  /** Ids of the prompt that follow the picture. */
  readonly prompt: readonly number[];
  /** Ids of the answer, the end id last. */
  readonly answer: readonly number[];
}

/** Null where nothing could be marked. Every point inside the picture is marked with probability `share`. */
export function markedSample(
  image: RgbImage,
  points: readonly MovingPoint[],
  instruction: string,
  share: number,
  random: Random,
  { contract, tokenizer }: { readonly contract: Contract; readonly tokenizer: Tokenizer },
): MarkedSample | null {
  const { trace } = contract.answers;
  if (!trace) return null;
  const chosen = points.filter(({ at }) => isInside(at[0]!, image) && random.uniform() < share);
  if (chosen.length === 0) return null;
  // Half of the pictures number the points in their order, as the node does; the others at random: digits must be read.
  const inOrder = chosen.map((_, i) => i + 1);
  const ids = random.uniform() < 0.5 ? inOrder : shuffled(inOrder, random);
  const marks = chosen
    .map(({ at }, i): Mark => ({ id: ids[i]!, at: at[0]! }))
    .sort((a, b) => a.id - b.id);
  const cells = (at: readonly Pixel[]) =>
    at.map((pixel) => cellFromPixel(pixel, image, trace.grid));
  const traces = chosen
    .map(({ at }, i) => ({ id: ids[i]!, cells: cells(at) }))
    .filter(({ cells: [start, ...future] }) =>
      future.some((cell) => Math.hypot(cell[0] - start![0], cell[1] - start![1]) > restingCells),
    )
    .sort((a, b) => a.id - b.id)
    .map(({ id, cells: [start, ...future] }) => ({ id, start: start!, future }));
  const prompt = tracePrompt(contract, tokenizer, {
    instruction,
    marks: marks.map(({ id }) => id),
    cells: cellsOf(marks, image, trace.grid),
  });
  if (!prompt.ok) return null;
  const picture = prompt.value.images[0]!.position;
  return {
    image: drawMarks(image, marks),
    marks,
    prompt: prompt.value.ids.slice(picture + 1),
    answer: idsFromText(formatTrace(traces, trace), tokenizer, tokenizer.idOf(contract.tokens.eos)),
  };
}

function isInside({ x, y }: Pixel, { height, width }: RgbImage): boolean {
  return x >= 0 && y >= 0 && x < width && y < height;
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const out = [...items];
  for (let i = out.length - 1; i > 0; i--) {
    const j = random.integer(i + 1);
    [out[i], out[j]] = [out[j]!, out[i]!];
  }
  return out;
}
