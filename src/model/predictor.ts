/**
 * Observation → action or trace of one model for one robot. Knows nothing of threads: who calls decides when a trace
 * pauses. What is wrong with an observation or an answer is a Refusal; anything thrown is a bug, or a broken model or runtime.
 */
import { join } from 'node:path';
import { DataError, ModelError } from '../errors.js';
import { calibrated } from '../math/calibration.js';
import type { Answer, Mark, Observation, Refusal, RgbImage, TracePrediction } from '../types.js';
import { actionDecodingFor, chunkFromIds, type ActionDecoding } from './actionUnits.js';
import { textFromIds } from './answerText.js';
import { readContract, type Contract } from './contract.js';
import { imagesOf } from './promptPieces.js';
import { joinSlices, type Tokens } from './decoding.js';
import { maxSliceTokens, type GenerationRequest } from './generation.js';
import { isInside, marksOfInterest } from './marks.js';
import { confidenceOf, outcomeOf, refuseBadInput } from './outcome.js';
import {
  assignCameras,
  encodePictures,
  readPicture,
  recipeOf,
  type CameraOfPicture,
  type PictureRecipe,
} from './pictures.js';
import { actionPrompt, tracePrompt, type PromptIds } from './prompt.js';
import type { ModelAction, ModelSettings, Outcome, TraceQuestion } from './protocol.js';
import { accept, refuse } from './refusal.js';
import type { Runtime } from './runtime.js';
import { stateFromReadings } from './stateTokens.js';
import { Stopwatch } from './stopwatch.js';
import { checkVocabulary, readTokenizer, type Tokenizer } from './tokenizer.js';
import { cellsOf, parseTrace, tracesInPixels } from './traceGrammar.js';

/** Called between the stages and slices of a trace. Whatever it waits for runs first; a refusal ends the trace. */
export type Pause = () => Promise<Refusal | null>;

/** What is checked before graphs are built or sessions opened. */
export interface ModelParts {
  readonly contract: Contract;
  readonly tokenizer: Tokenizer;
  readonly decoding: ActionDecoding;
  readonly cameras: CameraOfPicture;
  readonly recipe: PictureRecipe;
}

/** Reads the small files of a model folder. @throws InputError naming what does not fit, and what would. */
export function readModelParts(settings: ModelSettings): ModelParts {
  const { folder, robot, statistics, sliceTokens } = settings;
  if (!Number.isInteger(sliceTokens) || sliceTokens < 1 || sliceTokens > maxSliceTokens) {
    throw new ModelError('sliceTokens', String(sliceTokens), `1 to ${maxSliceTokens}`);
  }
  const contract = readContract(folder);
  const tokenizer = readTokenizer(folder);
  checkVocabulary(contract, tokenizer, join(folder, 'tokenizer.json'));
  const endId = tokenizer.idOf(contract.tokens.eos);
  return {
    contract,
    tokenizer,
    decoding: actionDecodingFor(contract, robot, endId, statistics),
    cameras: assignCameras(contract, settings.cameras),
    recipe: recipeOf(contract),
  };
}

export class Predictor {
  readonly #parts: ModelParts;
  readonly #settings: ModelSettings;
  readonly #nowMs: () => number;
  readonly runtime: Runtime;

  /** @param nowMs steady clock, ms. @throws ModelError where graphs and contract do not fit together. */
  constructor(parts: ModelParts, runtime: Runtime, settings: ModelSettings, nowMs: () => number) {
    const { contract, decoding } = parts;
    const { vocabulary } = runtime.manifest.decoder;
    const highest = Math.max(contract.answers.action.vocabulary - 1, decoding.endId);
    if (highest >= vocabulary) {
      const expected = `more than ${highest}, the highest id of contract and tokenizer`;
      throw new ModelError(`model ${contract.name}, vocabulary`, `${vocabulary}`, expected);
    }
    this.#parts = parts;
    this.runtime = runtime;
    this.#settings = settings;
    this.#nowMs = nowMs;
  }

  get contract(): Contract {
    return this.#parts.contract;
  }

  /** Cameras whose frames the two questions need. */
  get cameras(): { readonly action: readonly string[]; readonly trace: readonly string[] } {
    const { action, trace } = this.contract.prompts;
    const names = (prompt: typeof trace): string[] => [
      ...new Set(prompt ? imagesOf(prompt).map(({ image }) => this.#parts.cameras[image]!) : []),
    ];
    return { action: names(action), trace: names(trace) };
  }

  async predictAction(observation: Observation): Promise<Outcome<ModelAction>> {
    const stopwatch = new Stopwatch(this.#nowMs);
    const answer = await refuseBadInput(() => this.#action(observation, stopwatch));
    return outcomeOf(answer, stopwatch);
  }

  /** `pause` is called when the picture is decoded, when it is encoded, and between slices of `sliceTokens`. */
  async predictTrace(
    observation: Observation,
    question: TraceQuestion,
    pause: Pause,
  ): Promise<Outcome<TracePrediction>> {
    const stopwatch = new Stopwatch(this.#nowMs);
    const answer = await refuseBadInput(() => this.#trace(observation, question, pause, stopwatch));
    return outcomeOf(answer, stopwatch);
  }

  release(): Promise<void> {
    return this.runtime.release();
  }

  async #action(observation: Observation, stopwatch: Stopwatch): Promise<Answer<ModelAction>> {
    const { contract, tokenizer, decoding } = this.#parts;
    // 1. The question in ids: refusals that need no picture come first.
    const prompt = actionPrompt(contract, tokenizer, {
      instruction: observation.instruction,
      state: this.#stateOf(observation),
    });
    if (!prompt.ok) return prompt;
    // 2. Its pictures.
    const sources = await this.#readPictures(prompt.value, observation, stopwatch);
    if (!sources.ok) return sources;
    const request = await this.#request(prompt.value, sources.value, [], stopwatch);
    // 3. The answer.
    const { dims, chunk } = contract.answers.action;
    const stop = this.#stop(chunk * dims.length + 1, this.#settings.fixedLength?.action);
    const tokens = await stopwatch.measure('generateMs', () =>
      this.runtime.generator.generate({ ...request, ...stop }),
    );
    const played = chunkFromIds(tokens.tokens, decoding);
    if (!played.ok) return played;
    const confidence = confidenceOf(tokens);
    if (!confidence.ok) return confidence;
    const { calibration } = contract.answers.action;
    return accept({
      observationStampNs: observation.stampNs,
      episode: observation.episode,
      chunk: played.value,
      confidence: calibration ? calibrated(calibration, confidence.value) : confidence.value,
      ...(calibration && { uncalibrated: confidence.value }),
      actionMass: Math.min(...tokens.actionMass.slice(0, chunk * dims.length)),
      timing: stopwatch.timing(),
      tokens: tokens.tokens,
    });
  }

  async #trace(
    observation: Observation,
    question: TraceQuestion,
    pause: Pause,
    stopwatch: Stopwatch,
  ): Promise<Answer<TracePrediction>> {
    const { contract, tokenizer, decoding } = this.#parts;
    // 1. The picture the marks lie on.
    const layout = contract.answers.trace;
    const camera = layout ? this.#parts.cameras[layout.camera]! : question.camera;
    if (layout && question.camera !== camera) {
      const expected = `${camera}, which the model sees as ${layout.camera}`;
      return refuse('badObservation', 'trace camera', question.camera, expected);
    }
    const marked = await stopwatch.measure('decodeMs', () => readPicture(observation, camera));
    if (!marked.ok) return marked;
    const before = await pause();
    if (before) return { ok: false, refusal: before };
    const marks = await chooseMarks(question.marks, marked.value, contract);
    if (!marks.ok) return marks;
    // 2. The question in ids, and all its pictures.
    const prompt = tracePrompt(contract, tokenizer, {
      instruction: observation.instruction,
      state: this.#stateOf(observation),
      marks: marks.value.map(({ id }) => id),
      cells: cellsOf(marks.value, marked.value, layout?.grid ?? 1),
    });
    if (!prompt.ok) return prompt;
    const sources = await this.#readPictures(prompt.value, observation, stopwatch, {
      [layout!.camera]: marked.value,
    });
    if (!sources.ok) return sources;
    const request = await this.#request(prompt.value, sources.value, marks.value, stopwatch);
    // 3. The answer, slice by slice.
    const stop = this.#stop(layout!.maxTokens, this.#settings.fixedLength?.trace);
    const tokens = await this.#generateInSlices({ ...request, ...stop }, pause, stopwatch);
    if (!tokens.ok) return tokens;
    const text = textFromIds(tokens.value.tokens, tokenizer, decoding.endId);
    if (!text.ok) return text;
    const ids = marks.value.map(({ id }) => id);
    const traces = parseTrace(text.value, ids, layout!);
    if (!traces.ok) return traces;
    const confidence = confidenceOf(tokens.value);
    if (!confidence.ok) return confidence;
    return accept({
      observationStampNs: observation.stampNs,
      episode: observation.episode,
      camera,
      stepPeriodNs: BigInt(Math.round(layout!.period * 1e9)),
      marks: marks.value,
      traces: tracesInPixels(traces.value, marked.value, layout!.grid),
      confidence: confidence.value,
      timing: stopwatch.timing(),
    });
  }

  async #generateInSlices(
    request: GenerationRequest,
    pause: Pause,
    stopwatch: Stopwatch,
  ): Promise<Answer<Tokens>> {
    const slices = this.runtime.generator.slices(request, this.#settings.sliceTokens);
    const parts: Tokens[] = [];
    try {
      for (;;) {
        const refusal = await pause();
        if (refusal) return { ok: false, refusal };
        const slice = await stopwatch.measure('generateMs', () => slices.next());
        if (slice.done) return accept(joinSlices(parts));
        parts.push(slice.value);
      }
    } finally {
      await slices.return();
    }
  }

  /** Pictures of a prompt by their key, each decoded once; those in `known` are there already. */
  async #readPictures(
    { images }: PromptIds,
    observation: Observation,
    stopwatch: Stopwatch,
    known: Readonly<Record<string, RgbImage>> = {},
  ): Promise<Answer<Record<string, RgbImage>>> {
    const pictures: Record<string, RgbImage> = { ...known };
    for (const { segment } of images) {
      const key = segment.image;
      if (Object.hasOwn(pictures, key)) continue;
      const camera = this.#parts.cameras[key]!;
      const picture = await stopwatch.measure('decodeMs', () => readPicture(observation, camera));
      if (!picture.ok) return picture;
      pictures[key] = picture.value;
    }
    return accept(pictures);
  }

  async #request(
    { ids, images }: PromptIds,
    sources: Readonly<Record<string, RgbImage>>,
    marks: readonly Mark[],
    stopwatch: Stopwatch,
  ): Promise<Omit<GenerationRequest, 'maxTokens' | 'eosIds'>> {
    const { recipe, contract } = this.#parts;
    const { vision } = this.runtime;
    const pictures = await encodePictures(images, sources, marks, recipe, vision, stopwatch);
    const { vocabulary, bins } = contract.answers.action;
    return { ids, pictures, actionIds: { first: vocabulary - bins, end: vocabulary } };
  }

  #stop(
    maxTokens: number,
    fixed: number | undefined,
  ): Pick<GenerationRequest, 'maxTokens' | 'eosIds'> {
    return fixed === undefined
      ? { maxTokens, eosIds: [this.#parts.decoding.endId] }
      : { maxTokens: fixed, eosIds: [] };
  }

  /** A pose in another frame is no pose: the contract's state is in the base frame. */
  #stateOf({ endEffector, gripper }: Observation): ReturnType<typeof stateFromReadings> {
    const { baseFrame } = this.#settings.robot;
    if (endEffector && endEffector.frameId !== baseFrame && this.contract.state.length > 0) {
      throw new DataError('end effector, frame', endEffector.frameId, baseFrame);
    }
    return stateFromReadings(endEffector, gripper);
  }
}

/** The caller's marks where there are any, else interest points. */
async function chooseMarks(
  given: readonly Mark[],
  picture: RgbImage,
  contract: Contract,
): Promise<Answer<readonly Mark[]>> {
  const layout = contract.answers.trace;
  if (given.length === 0 && layout) return accept(await marksOfInterest(picture, layout.marks));
  const outside = given.find(({ at }) => !isInside(at, picture));
  if (!outside) return accept(given);
  const got = `mark ${outside.id} at [${outside.at.x}, ${outside.at.y}]`;
  return refuse('badObservation', 'marks', got, `a point of ${picture.width}×${picture.height} px`);
}
