/**
 * `magma-vla ask`: questions about pictures, with a model that was trained to answer them. There is no control loop that
 * inference could hold up, so the graphs run on this thread; prompts, pictures and generation are those of the worker.
 * A node that runs is asked nothing here: whoever needs answers beside it starts this command on a recording.
 */
import { join } from 'node:path';
import { graphsFolder, openGraphs } from '../convert/build.js';
import { ConfigError } from '../errors.js';
import type { Box } from '../image/boxes.js';
import { marksOfInterest } from '../model/marks.js';
import {
  Questions,
  readQuestionParts,
  type ScreenPlace,
  type Seen,
  type TextAnswer,
} from '../model/questions.js';
import { checkProvider, openRuntime } from '../model/runtime.js';
import type { ProviderSetting } from '../model/session.js';
import type { Answer, Mark, RgbImage } from '../types.js';
import { boxesFrom, pointsFrom } from './askMarks.js';
import { readMany, readOne, type AskedPicture, type PictureSource } from './askPictures.js';
import { loadProgress, seconds } from './loadProgress.js';
import type { ModelIdentity } from './openModel.js';

/** What kind of answer is wanted. `marks`: as `--marks` gives them. */
export type Wanted =
  | { readonly kind: 'question' }
  | { readonly kind: 'video'; readonly frames: number }
  | { readonly kind: 'location'; readonly marks?: string }
  | { readonly kind: 'interface'; readonly marks?: string };

export interface AskRequest {
  /** Model folder. */
  readonly folder: string;
  readonly cache: string;
  readonly provider: ProviderSetting;
  readonly threads: number;
  readonly source: PictureSource;
  readonly wanted: Wanted;
  /** At least one; where marks are is one question without words. */
  readonly questions: readonly string[];
  readonly maxTokens?: number;
  /** Steady clock, ms. */
  readonly nowMs: () => number;
  readonly say: (line: string) => void;
  /** Told when a question is put, what is new of its answer while it is generated, and what has come of it. */
  readonly onQuestion?: (question: string) => void;
  readonly onText?: (text: string) => void;
  readonly onAnswer?: (answered: Answered) => void;
}

export interface Answered {
  readonly question: string;
  /** Of this answer; what the picture took is in `AskResult`. */
  readonly ms: number;
  /** What the model said; null where the question was not put, or where it said no words. */
  readonly said: Said | null;
  /** Why that is no answer; null where it is one. */
  readonly refused: string | null;
  /** Where it sees the marks, px. */
  readonly marks?: readonly Mark[];
  /** Where to click, px, and the box that is named. */
  readonly place?: ScreenPlace & { readonly box: Box | null };
}

export interface Said {
  /** Without space around it. */
  readonly text: string;
  /** False: cut off. */
  readonly isWhole: boolean;
  /** 0 … 1 */
  readonly confidence: number;
  readonly tokens: number;
}

export interface AskResult {
  readonly model: string;
  readonly ranWith: ModelIdentity;
  readonly kind: Wanted['kind'];
  readonly pictures: readonly string[];
  /** To read, prepare and encode the pictures, once for all questions. */
  readonly picturesMs: number;
  /** What was drawn before the model was asked. */
  readonly marks: readonly Mark[];
  readonly boxes: readonly Box[];
  readonly answers: readonly Answered[];
}

/** @throws InputError where there is no such model, picture or mark; what the model refuses is in the result. */
export async function ask(
  request: AskRequest,
): Promise<{ readonly result: AskResult; readonly picture: RgbImage }> {
  const { wanted, say, nowMs } = request;
  // 1. What is cheap to find wrong: the model's prompts, the pictures, the marks.
  const parts = readQuestionParts(request.folder, wanted.kind);
  const most = parts.contract.answers.video?.frames.max ?? 0;
  if (wanted.kind === 'video' && wanted.frames > most) {
    throw new ConfigError('--frames', String(wanted.frames), `at most ${most} for this model`);
  }
  const startedMs = nowMs();
  const pictures = await readPictures(request);
  const picture = pictures[0]!.image;
  const drawn = await marksFor(wanted, picture, parts.contract.answers.location?.marks);
  const readMs = nowMs() - startedMs;
  // 2. The model.
  const progress = loadProgress(say);
  await checkProvider(join(request.folder, graphsFolder), request.provider);
  const graphs = openGraphs(request.folder, parts.contract, request.cache, progress);
  progress({ stage: 'sessions', fraction: 0 });
  const runtime = await openRuntime(graphs.folder, request);
  try {
    const { manifest, provider, generator } = runtime;
    const { name } = parts.contract;
    const { kind, reason } = generator.decoding;
    say(
      `model ${name}: ${provider.provider} (${provider.reason}), decoding by ${kind} (${reason})`,
    );
    const questions = new Questions(parts, runtime, nowMs);
    // 3. The pictures, once.
    const seen = await look(questions, pictures, drawn, request);
    const picturesMs = readMs + seen.timing.totalMs;
    say(`${namesOf(pictures)}: seen in ${seconds(picturesMs)}`);
    // 4. The answers.
    const answers = await answerAll(questions, seen, drawn.boxes, request);
    const ranWith = { sha256: manifest.sha256, provider: provider.provider, decoding: kind };
    const names = pictures.map((each) => each.name);
    return {
      picture,
      result: {
        ...{ model: name, ranWith, kind: wanted.kind },
        ...{ pictures: names, picturesMs, ...drawn, answers },
      },
    };
  } finally {
    await runtime.release();
  }
}

/** Of several questions, what they share is read once. */
async function answerAll(
  questions: Questions,
  looked: Seen,
  boxes: readonly Box[],
  request: AskRequest,
): Promise<readonly Answered[]> {
  const seen = request.questions.length > 1 ? await questions.remember(looked) : looked;
  try {
    const answers: Answered[] = [];
    for (const question of request.questions) {
      request.onQuestion?.(question);
      const told = await answered(questions, seen, question, boxes, request);
      request.onAnswer?.(told);
      answers.push(told);
    }
    return answers;
  } finally {
    seen.beginning?.release();
  }
}

function readPictures({ source, wanted }: AskRequest): Promise<readonly AskedPicture[]> {
  if (wanted.kind === 'video') return readMany(source, wanted.frames);
  return readOne(source).then((picture) => [picture]);
}

function namesOf(pictures: readonly AskedPicture[]): string {
  const [first, last] = [pictures[0]!.name, pictures.at(-1)!.name];
  return pictures.length === 1 ? first : `${pictures.length} pictures, ${first} … ${last}`;
}

interface Drawn {
  readonly marks: readonly Mark[];
  readonly boxes: readonly Box[];
}

/** Without `--marks`, those to be located are the picture's corners, as the node marks a camera's. */
async function marksFor(
  wanted: Wanted,
  picture: RgbImage,
  count: { readonly min: number; readonly max: number } | undefined,
): Promise<Drawn> {
  if (wanted.kind === 'interface') {
    return { marks: [], boxes: wanted.marks === undefined ? [] : boxesFrom(wanted.marks) };
  }
  if (wanted.kind !== 'location') return { marks: [], boxes: [] };
  if (wanted.marks !== undefined) return { marks: pointsFrom(wanted.marks), boxes: [] };
  const { min, max } = count!;
  return { marks: await marksOfInterest(picture, { min, max: Math.min(max, 9) }), boxes: [] };
}

function look(
  questions: Questions,
  pictures: readonly AskedPicture[],
  { marks, boxes }: Drawn,
  { wanted, maxTokens }: Pick<AskRequest, 'wanted' | 'maxTokens'>,
): Promise<Seen> {
  const { image } = pictures[0]!;
  switch (wanted.kind) {
    case 'question':
      return questions.lookAt(image, maxTokens);
    case 'video':
      return questions.watch(
        pictures.map((picture) => picture.image),
        maxTokens,
      );
    case 'location':
      return questions.lookForMarks(image, marks, maxTokens);
    case 'interface':
      return questions.lookAtScreen(image, boxes, maxTokens);
  }
}

async function answered(
  questions: Questions,
  seen: Seen,
  question: string,
  boxes: readonly Box[],
  { maxTokens, onText }: AskRequest,
): Promise<Answered> {
  const { answer, timing } = await questions.ask(seen, question, {
    ...(maxTokens === undefined ? {} : { maxTokens }),
    ...(onText ? { onText } : {}),
  });
  const asked = { question, ms: timing.totalMs };
  if (!answer.ok) return { ...asked, said: null, refused: answer.refusal.message };
  const { text, isWhole, confidence, tokens } = answer.value;
  const said = { text: text.trim(), isWhole, confidence, tokens: tokens.length };
  const meant = meaningOf(answer.value, questions, seen, boxes);
  if (!meant.ok) return { ...asked, said, refused: meant.refusal.message };
  return { ...asked, said, refused: null, ...meant.value };
}

function meaningOf(
  said: TextAnswer,
  questions: Questions,
  seen: Seen,
  boxes: readonly Box[],
): Answer<Pick<Answered, 'marks' | 'place'>> {
  switch (seen.kind) {
    case 'question':
    case 'video':
      return { ok: true, value: {} };
    case 'location': {
      const marks = questions.marksIn(said, seen);
      return marks.ok ? { ok: true, value: { marks: marks.value } } : marks;
    }
    case 'interface': {
      const place = questions.placeIn(said, seen);
      if (!place.ok) return place;
      const { at, mark } = place.value;
      return { ok: true, value: { place: { at, mark, box: mark === null ? null : boxes[mark]! } } };
    }
  }
}
