/**
 * The stand-in tokenizers of synthetic models spend a token on every letter; with the public ones a prompt is shorter. So
 * that a benchmark reads what a robot's prompt takes, and no more, tokens of text are left out of it.
 */
import type { SyntheticName } from '../convert/syntheticFolder.js';
import type { GenerationRequest } from '../model/generation.js';

/**
 * Tokens of text that an action's prompt has beside its picture: Magma's 42 published ids hold one placeholder
 * (microsoft/Magma issue 36); OpenVLA's prompt is `<s> In: What action should the robot take to … ?\nOut: ▁` with five
 * tokens for the instruction.
 */
export const publicTextTokens: Readonly<Record<SyntheticName, number>> = {
  'magma-8b': 41,
  'openvla-7b': 20,
};

/** Leaves out tokens of text, evenly, until `textTokens` are left; a request that has no more stays as it is. */
export function withTextTokens(request: GenerationRequest, textTokens: number): GenerationRequest {
  const { ids, pictures } = request;
  const given = ids.length - pictures.length;
  if (given <= textTokens) return request;
  const isPicture = (at: number): boolean => pictures.some(({ position }) => position === at);
  const due = (count: number): number => Math.floor((count * textTokens) / given);
  let text = 0;
  const kept = [...ids.keys()].filter((at) => {
    if (isPicture(at)) return true;
    text += 1;
    return due(text) > due(text - 1);
  });
  return {
    ...request,
    ids: kept.map((at) => ids[at]!),
    pictures: pictures.map((each) => ({ ...each, position: kept.indexOf(each.position) })),
  };
}
