/**
 * Questions about pictures that no robot took: text, where marks are, where to click. Prompt, pictures and generation are
 * the predictor's own (prompt.ts, pictures.ts, generation.ts); here are only what differs, a conversation without an
 * observation, and one thing more: a picture is encoded once, however many questions are asked about it.
 */
import { join } from 'node:path';
import { DataError, ModelError } from '../errors.js';
import { drawNumberedBoxes, type Box } from '../image/boxes.js';
import { chooseCanvas } from '../image/canvas.js';
import type { Answer, Mark, Pixel, RgbImage, Timing } from '../types.js';
import { readContract, type Contract, type QuestionKind } from './contract.js';
import { joinSlices, type Tokens } from './decoding.js';
import type { GenerationRequest, PromptPrefix } from './generation.js';
import { parseScreenTarget } from './interfaceGrammar.js';
import { parseLocations } from './locationGrammar.js';
import { isInside } from './marks.js';
import { confidenceOf, outcomeOf, refuseBadInput } from './outcome.js';
import { canvasOf, recipeOf, seePictures, type ShownPicture } from './pictures.js';
import type { ModelParts } from './predictor.js';
import { questionPrompt, type PromptIds } from './prompt.js';
import type { Outcome } from './protocol.js';
import { accept, refuse } from './refusal.js';
import type { Runtime } from './runtime.js';
import { Stopwatch } from './stopwatch.js';
import { checkVocabulary, readTokenizer, type Tokenizer } from './tokenizer.js';
import { pixelFromCell } from './traceGrammar.js';
import type { VisualTokens } from './vision.js';

export type QuestionParts = Pick<ModelParts, 'contract' | 'tokenizer' | 'recipe'>;

/**
 * Reads the small files of a model folder.
 * @throws InputError naming what does not fit; ModelError where the model was not trained for this kind of question.
 */
export function readQuestionParts(folder: string, kind: QuestionKind): QuestionParts {
  const contract = readContract(folder);
  if (!contract.prompts[kind]) {
    const kinds = Object.keys(contract.prompts).join(', ');
    throw new ModelError(
      `model ${contract.name}, prompts`,
      `${kinds}, but no ${kind}: it was not trained to answer that`,
      `a model whose model.json has a prompt "${kind}", such as a converted Magma-8B`,
    );
  }
  const tokenizer = readTokenizer(folder);
  checkVocabulary(contract, tokenizer, join(folder, 'tokenizer.json'));
  return { contract, tokenizer, recipe: recipeOf(contract) };
}

/** Pictures as the decoder sees them, ready for any number of questions of their kind. */
export interface Seen {
  readonly kind: QuestionKind;
  /** Of the first picture, px. */
  readonly height: number;
  readonly width: number;
  /** Numbers drawn: of marks, or of boxes. */
  readonly drawn: readonly number[];
  readonly visual: readonly VisualTokens[];
  readonly timing: Timing;
  /** What `remember` has read already; null: every question reads the pictures again. */
  readonly beginning: PromptPrefix | null;
}

export interface TextAnswer {
  /** As generated: Magma's own code takes away the space around it. */
  readonly text: string;
  /** False: cut off at `maxTokens`. */
  readonly isWhole: boolean;
  /** 0 … 1: geometric mean probability of its tokens. */
  readonly confidence: number;
  readonly tokens: readonly number[];
}

/** A place of the screen, px, and the number of the box around it where the model names one. */
export interface ScreenPlace {
  readonly at: Pixel;
  readonly mark: number | null;
}

export interface AskOptions {
  /** Fewer than the contract's number, or more. */
  readonly maxTokens?: number;
  /** Told what is new of the answer while it is generated. */
  readonly onText?: (text: string) => void;
}

/** Tokens between two calls of `onText`. */
const tokensAtOnce = 4;

export class Questions {
  readonly #parts: QuestionParts;
  readonly #runtime: Runtime;
  readonly #nowMs: () => number;

  /** @param nowMs steady clock, ms. */
  constructor(parts: QuestionParts, runtime: Runtime, nowMs: () => number) {
    this.#parts = parts;
    this.#runtime = runtime;
    this.#nowMs = nowMs;
  }

  get contract(): Contract {
    return this.#parts.contract;
  }

  /** One picture for free questions. Room is kept for an answer of `maxTokens`, else of the contract's number. */
  lookAt(picture: RgbImage, maxTokens?: number): Promise<Seen> {
    return this.#look('question', [picture], [], [], maxTokens);
  }

  /** Frames in the order of time. @throws DataError for more than the contract allows. */
  async watch(frames: readonly RgbImage[], maxTokens?: number): Promise<Seen> {
    const max = this.contract.answers.video?.frames.max ?? 0;
    checkCount('video, frames', frames.length, 1, max);
    return this.#look('video', frames, [], [], maxTokens);
  }

  /** A picture whose marks are to be located; they are drawn into a copy. @throws DataError: too many, outside. */
  async lookForMarks(picture: RgbImage, marks: readonly Mark[], maxTokens?: number): Promise<Seen> {
    const { min, max } = this.contract.answers.location?.marks ?? { min: 0, max: 0 };
    checkCount('marks', marks.length, min, max);
    const outside = marks.find(({ at }) => !isInside(at, picture));
    if (outside) {
      const got = `mark ${outside.id} at [${outside.at.x}, ${outside.at.y}]`;
      throw new DataError('marks', got, `a point of ${picture.width}×${picture.height} px`);
    }
    return this.#look('location', [picture], marks, ids(marks), maxTokens);
  }

  /** A screenshot, with boxes numbered from 0 drawn into a copy. @throws InputError: too many, outside. */
  async lookAtScreen(picture: RgbImage, boxes: readonly Box[], maxTokens?: number): Promise<Seen> {
    checkCount('boxes', boxes.length, 0, this.contract.answers.interface?.marks.max ?? 0);
    const numbered = drawNumberedBoxes(picture, boxes);
    return this.#look('interface', [numbered], [], [...boxes.keys()], maxTokens);
  }

  /**
   * Reads what all questions about this begin with, pictures included, into the cache, for more than one question. It
   * stays there until `beginning.release`. @throws InputError where that alone is too long.
   */
  async remember(seen: Seen): Promise<Seen> {
    const { ids, pictures } = placed(this.#anyPrompt(seen.kind, seen.visual.length), seen);
    const end = pictures.at(-1)!.position + 1;
    const { generator } = this.#runtime;
    return { ...seen, beginning: await generator.prefix({ ids: ids.slice(0, end), pictures }) };
  }

  /** What the model says about what it has seen. Refused: tokens that are no text, a prompt that is too long. */
  async ask(seen: Seen, question: string, options: AskOptions = {}): Promise<Outcome<TextAnswer>> {
    const stopwatch = new Stopwatch(this.#nowMs);
    const answer = await refuseBadInput(() => this.#ask(seen, question, options, stopwatch));
    return outcomeOf(answer, stopwatch);
  }

  /** Where an answer to `lookForMarks` sees each mark, px; it may leave marks out. Refused: any other sentence. */
  marksIn(said: TextAnswer, seen: Seen): Answer<readonly Mark[]> {
    const { grid } = this.contract.answers.location!;
    const located = whole(said, (text) => parseLocations(text, seen.drawn, { grid }));
    if (!located.ok) return located;
    const inPixels = located.value.map(({ id, at }) => ({ id, at: pixelFromCell(at, seen, grid) }));
    return accept(inPixels);
  }

  /** Where an answer to `lookAtScreen` says to click. Refused: any other sentence. */
  placeIn(said: TextAnswer, seen: Seen): Answer<ScreenPlace> {
    const target = whole(said, (text) => parseScreenTarget(text, seen.drawn));
    if (!target.ok) return target;
    const { at, mark } = target.value;
    return accept({ mark, at: { x: at.x * seen.width, y: at.y * seen.height } });
  }

  async #look(
    kind: QuestionKind,
    pictures: readonly RgbImage[],
    marks: readonly Mark[],
    drawn: readonly number[],
    maxTokens = this.contract.answers[kind]!.maxTokens,
  ): Promise<Seen> {
    const stopwatch = new Stopwatch(this.#nowMs);
    const { ids, images } = this.#anyPrompt(kind, pictures.length);
    const shown = images.map(({ segment }, i) => ({ source: pictures[i]!, segment }));
    this.#checkRoom(shown, ids.length, maxTokens);
    const { recipe } = this.#parts;
    const visual = await seePictures(shown, marks, recipe, this.#runtime.vision, stopwatch);
    const { height, width } = pictures[0]!;
    return { kind, height, width, drawn, visual, timing: stopwatch.timing(), beginning: null };
  }

  /** Found before the towers have worked for minutes. @throws DataError for pictures that no prompt has room for. */
  #checkRoom(shown: readonly ShownPicture[], ids: number, maxTokens: number): void {
    const { recipe, contract } = this.#parts;
    const { vision, decoder } = this.#runtime.manifest;
    const tokens = shown.map(({ source, segment }) => {
      const canvas = chooseCanvas(segment.resize ?? source, canvasOf(recipe, segment));
      const separators =
        contract.projector.rowSeparator === null ? 0 : canvas.height / vision.stride;
      return (canvas.height / vision.stride) * (canvas.width / vision.stride) + separators;
    });
    // Every placeholder gives way to its picture; an answer's last token is not read any more.
    const positions = tokens.reduce((sum, count) => sum + count, ids - shown.length);
    const most = decoder.maxPositions - maxTokens + 1;
    if (positions <= most) return;
    const got = `${shown.length} of ${tokens[0]} tokens: ${positions} positions`;
    const expected = `at most ${most} beside an answer of ${maxTokens}: fewer pictures, or a shorter answer`;
    throw new DataError('pictures', got, expected);
  }

  /** Where pictures go does not depend on what is asked. @throws ModelError for a kind without a prompt. */
  #anyPrompt(kind: QuestionKind, frames: number): PromptIds {
    const prompt = this.#prompt(kind, 'what', frames);
    if (prompt.ok) return prompt.value;
    const where = `model ${this.contract.name}, prompt ${kind}`;
    throw new ModelError(where, prompt.refusal.message, 'a prompt for any question');
  }

  async #ask(
    seen: Seen,
    question: string,
    { maxTokens, onText }: AskOptions,
    stopwatch: Stopwatch,
  ): Promise<Answer<TextAnswer>> {
    // 1. The question in ids, and what has been seen in its places.
    const prompt = this.#prompt(seen.kind, question, seen.visual.length);
    if (!prompt.ok) return prompt;
    const { contract, tokenizer } = this.#parts;
    const endId = tokenizer.idOf(contract.tokens.eos);
    const { vocabulary, bins } = contract.answers.action;
    const { ids, pictures } = placed(prompt.value, seen);
    const last = pictures.at(-1)!.position;
    const request: GenerationRequest = {
      ...(seen.beginning ? { ids: ids.slice(last + 1), pictures: [] } : { ids, pictures }),
      actionIds: { first: vocabulary - bins, end: vocabulary },
      maxTokens: maxTokens ?? contract.answers[seen.kind]!.maxTokens,
      eosIds: [endId],
    };
    // 2. The answer, told as it comes.
    const generator = seen.beginning ?? this.#runtime.generator;
    const tokens = await stopwatch.measure('generateMs', () =>
      onText ? this.#tellWhile(generator, request, onText) : generator.generate(request),
    );
    // 3. Its words.
    const isWhole = tokens.tokens.at(-1) === endId;
    const words = isWhole ? tokens.tokens.slice(0, -1) : tokens.tokens;
    const odd = words.find((id) => !tokenizer.isOrdinary(id));
    if (odd !== undefined) {
      return refuse('malformedAnswer', 'text answer', `token ${odd}`, 'tokens that stand for text');
    }
    const confidence = confidenceOf(tokens);
    if (!confidence.ok) return confidence;
    return accept({
      text: tokenizer.decode(words),
      isWhole,
      confidence: confidence.value,
      tokens: tokens.tokens,
    });
  }

  #prompt(kind: QuestionKind, instruction: string, frames: number) {
    const { contract, tokenizer } = this.#parts;
    return questionPrompt(kind, contract, tokenizer, { instruction, frames });
  }

  async #tellWhile(
    generator: Pick<PromptPrefix, 'slices'>,
    request: GenerationRequest,
    onText: (text: string) => void,
  ): Promise<Tokens> {
    const parts: Tokens[] = [];
    let told = '';
    for await (const part of generator.slices(request, tokensAtOnce)) {
      parts.push(part);
      const text = textSoFar(joinSlices(parts).tokens, this.#parts.tokenizer);
      onText(text.slice(told.length));
      told = text;
    }
    return joinSlices(parts);
  }
}

/** A prompt's ids, and what has been seen in the places of its pictures. */
function placed({ ids, images }: PromptIds, { visual }: Seen) {
  return { ids, pictures: images.map(({ position }, i) => ({ position, visual: visual[i]! })) };
}

/** Up to the first token that is no text, without a character whose last bytes are still to come. */
function textSoFar(tokens: readonly number[], tokenizer: Tokenizer): string {
  const end = tokens.findIndex((id) => !tokenizer.isOrdinary(id));
  const words = end < 0 ? tokens : tokens.slice(0, end);
  return tokenizer.decode(words).replace(/\uFFFD+$/, '');
}

/** An answer of a grammar must have come to its end. */
function whole<T>(said: TextAnswer, parse: (text: string) => Answer<T>): Answer<T> {
  if (said.isWhole) return parse(said.text);
  const got = `${said.tokens.length} tokens without the end`;
  return refuse('malformedAnswer', 'answer', got, 'the end');
}

function checkCount(what: string, count: number, min: number, max: number): void {
  if (count < min || count > max) throw new DataError(what, String(count), `${min} to ${max}`);
}

const ids = (marks: readonly Mark[]): readonly number[] => marks.map(({ id }) => id);
