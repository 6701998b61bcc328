/** What one request came to: an answer, or a refusal with its reason, and how long it took. */
import { InputError, ModelError } from '../errors.js';
import type { Answer } from '../types.js';
import type { Tokens } from './decoding.js';
import type { Outcome } from './protocol.js';
import { accept, refuse } from './refusal.js';
import type { Stopwatch } from './stopwatch.js';

/** Geometric mean of the tokens' probabilities. */
export function confidenceOf({ logProbabilities }: Tokens): Answer<number> {
  const sum = logProbabilities.reduce((total, value) => total + value, 0);
  const confidence = Math.exp(sum / logProbabilities.length);
  if (confidence >= 0 && confidence <= 1 + 1e-6) return accept(Math.min(1, confidence));
  return refuse('malformedAnswer', 'confidence', String(confidence), 'a probability');
}

export function outcomeOf<T>(answer: Answer<T>, stopwatch: Stopwatch): Outcome<T> {
  return { answer, timing: stopwatch.timing() };
}

/**
 * A damaged image or an instruction that is too long is the observation's fault. A graph that fails or whose scores are
 * no numbers is the model's: a ModelError goes on, and ends the worker.
 */
export async function refuseBadInput<T>(predict: () => Promise<Answer<T>>): Promise<Answer<T>> {
  try {
    return await predict();
  } catch (error) {
    if (!(error instanceof InputError) || error instanceof ModelError) throw error;
    return refuse('badObservation', error.where, error.got, error.expected);
  }
}
