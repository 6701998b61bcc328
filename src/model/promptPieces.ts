/** What a contract's prompts are made of. */
import type { Contract, ImageSegment, Piece, Prompt } from './contract.js';

/** The pictures that a prompt shows, in order; those of a video's frames once. */
export function imagesOf(prompt: Prompt): readonly ImageSegment[] {
  return piecesOf(prompt).filter((piece) => 'image' in piece);
}

/** Its segments, those of a video's frames once. */
export function piecesOf(prompt: Prompt): readonly Piece[] {
  return prompt.segments.flatMap((segment) => ('frames' in segment ? segment.frames : [segment]));
}

/** Every prompt there is, the action's first. */
export function promptsOf(contract: Pick<Contract, 'prompts'>): readonly Prompt[] {
  return Object.values(contract.prompts).filter((prompt) => prompt !== undefined);
}
