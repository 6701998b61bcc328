/**
 * A contract's prompt segments + one request → token ids. Neighbouring pieces of text are joined and tokenised as one
 * text, because a tokenizer splits words at spaces that belong to the next word.
 */
import { InputError } from '../errors.js';
import type { Answer } from '../types.js';
import type { Contract, ImageSegment, Piece, Prompt, QuestionKind, Segment } from './contract.js';
import { accept, refuse } from './refusal.js';
import { encodeState, type RobotState } from './stateTokens.js';
import type { Tokenizer } from './tokenizer.js';
import type { Cell } from './traceGrammar.js';

export interface PromptRequest {
  /** The task, or what is asked. */
  readonly instruction: string;
  /** Needed where the contract's prompt has a {state} segment. */
  readonly state?: RobotState;
  /** Ids of the marks drawn on the picture: needed by a trace prompt, any order. */
  readonly marks?: readonly number[];
  /** Where each of them lies, by id: needed where the contract's prompt has {marks} with `places`. */
  readonly cells?: ReadonlyMap<number, Cell>;
  /** Future points asked for; the contract's number unless given. */
  readonly steps?: number;
  /** How many pictures of a video are shown: needed by a video prompt. */
  readonly frames?: number;
}

/** Ids with one placeholder per picture, which the runtime replaces by that picture's visual tokens. */
export interface PromptIds {
  readonly ids: readonly number[];
  readonly images: readonly {
    /** Index of the placeholder in `ids`. */
    readonly position: number;
    /** Which picture, and what is done to it. */
    readonly segment: ImageSegment;
  }[];
}

/** Ids that ask for an action. Refused: an empty instruction, an incomplete robot state. */
export function actionPrompt(
  contract: Contract,
  tokenizer: Tokenizer,
  request: PromptRequest,
): Answer<PromptIds> {
  return promptIds(contract.prompts.action, contract, tokenizer, request);
}

/** Ids that ask where marks will go. Refused: also marks that repeat, or more or fewer than the contract allows. */
export function tracePrompt(
  contract: Contract,
  tokenizer: Tokenizer,
  request: PromptRequest,
): Answer<PromptIds> {
  const { trace } = contract.answers;
  if (!contract.prompts.trace || !trace) {
    return refuse(
      'badObservation',
      `model ${contract.name}`,
      'a trace request',
      'none: it has no traces',
    );
  }
  const marks = request.marks ?? [];
  const { min, max } = trace.marks;
  if (marks.length < min || marks.length > max) {
    return refuse('badObservation', 'marks', `${marks.length} marks`, `${min} to ${max}`);
  }
  if (new Set(marks).size < marks.length || !marks.every((id) => Number.isInteger(id) && id > 0)) {
    return refuse('badObservation', 'marks', marks.join(', '), 'different positive integers');
  }
  const steps = request.steps ?? trace.steps;
  if (!Number.isInteger(steps) || steps < 1 || steps > trace.steps) {
    return refuse('badObservation', 'trace steps', String(steps), `1 to ${trace.steps}`);
  }
  return promptIds(contract.prompts.trace, contract, tokenizer, { ...request, steps });
}

/**
 * Ids of a question about pictures that no robot took. Refused: a kind that the model has no prompt for, an empty
 * question, more frames than the contract allows.
 */
export function questionPrompt(
  kind: QuestionKind,
  contract: Contract,
  tokenizer: Tokenizer,
  request: Pick<PromptRequest, 'instruction' | 'frames'>,
): Answer<PromptIds> {
  const prompt = contract.prompts[kind];
  if (!prompt) {
    const expected = `none: its contract has no ${kind} prompt`;
    return refuse('badObservation', `model ${contract.name}`, `a ${kind} request`, expected);
  }
  const frames = request.frames ?? 0;
  const max = contract.answers.video?.frames.max ?? 0;
  if (kind === 'video' && !(Number.isInteger(frames) && frames >= 1 && frames <= max)) {
    return refuse('badObservation', 'video', `${frames} frames`, `1 to ${max}`);
  }
  return promptIds(prompt, contract, tokenizer, request);
}

/** The instruction as the contract's prompts write it. */
export function cleanInstruction(
  instruction: string,
  rule: Extract<Segment, { instruction: unknown }>['instruction'],
): string {
  const trimmed = instruction.trim();
  switch (rule) {
    case 'asGiven':
      return trimmed;
    case 'lowercase':
      return trimmed.toLowerCase();
    case 'plain':
      return trimmed
        .toLowerCase()
        .replace(/\s+/g, ' ')
        .replace(/[\s.!?]+$/, '');
  }
}

function promptIds(
  prompt: Prompt,
  contract: Contract,
  tokenizer: Tokenizer,
  request: PromptRequest,
): Answer<PromptIds> {
  const ids = Array.from({ length: prompt.bos }, () => tokenizer.idOf(contract.tokens.bos));
  const images: PromptIds['images'][number][] = [];
  let text = '';
  const endText = (): void => {
    if (text !== '') ids.push(...tokenizer.encode(text));
    text = '';
  };
  for (const segment of expanded(prompt, request.frames ?? 0)) {
    const written = textOf(segment, contract, request);
    if (written !== null) {
      if (written === '')
        return refuse('badObservation', 'prompt', 'no instruction', 'a task in words');
      text += written;
      continue;
    }
    endText();
    if ('token' in segment) ids.push(tokenizer.idOf(segment.token));
    if ('image' in segment) {
      images.push({ position: ids.length, segment });
      ids.push(tokenizer.idOf(contract.tokens.image));
    }
    if ('state' in segment) {
      const state = encodeState(request.state ?? {}, contract);
      if (!state.ok) return state;
      ids.push(...state.value);
    }
  }
  endText();
  const last = prompt.appendIfMissing;
  if (last !== undefined && ids.at(-1) !== last) ids.push(last);
  return accept({ ids, images });
}

/** The pieces of every frame in turn. */
function expanded({ segments }: Prompt, frames: number): readonly Piece[] {
  return segments.flatMap((segment) =>
    'frames' in segment ? Array.from({ length: frames }, () => segment.frames).flat() : [segment],
  );
}

/** What a segment adds to the running text; null if it is no text. */
function textOf(segment: Piece, contract: Contract, request: PromptRequest): string | null {
  if ('image' in segment) return null;
  if ('text' in segment) return segment.text;
  if ('instruction' in segment) return cleanInstruction(request.instruction, segment.instruction);
  if ('marks' in segment) {
    const ids = [...(request.marks ?? [])].sort((a, b) => a - b);
    const names = segment.places ? ids.map((id) => `${id} at ${placeOf(id, request)}`) : ids;
    return names.join(segment.marks);
  }
  if ('steps' in segment) return String(request.steps);
  if ('speed' in segment) return String(contract.answers.trace?.speed);
  return null;
}

function placeOf(id: number, { cells }: PromptRequest): string {
  const cell = cells?.get(id);
  if (!cell) throw new InputError('prompt', `mark ${id} without a place`, 'the cell of every mark');
  return `[${cell.join(',')}]`;
}
