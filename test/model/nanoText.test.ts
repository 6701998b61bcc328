import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { actionDecodingFor, idsFromDeltas } from '../../src/model/actionUnits.js';
import { idsFromText } from '../../src/model/answerText.js';
import { readContract } from '../../src/model/contract.js';
import { actionPrompt, tracePrompt } from '../../src/model/prompt.js';
import { readTokenizer } from '../../src/model/tokenizer.js';
import { formatTrace, type GridTrace } from '../../src/model/traceGrammar.js';
import type { EndEffectorDelta } from '../../src/types.js';

interface Case {
  readonly instruction: string;
  readonly state: Readonly<Record<'x' | 'y' | 'z' | 'yaw' | 'gripper', number>>;
  readonly delta: EndEffectorDelta;
  readonly traces: readonly GridTrace[];
  readonly marks: readonly number[];
  readonly places: readonly (readonly [number, readonly [number, number]])[];
  readonly actionPromptIds: readonly number[];
  readonly actionAnswerIds: readonly number[];
  readonly tracePromptIds: readonly number[];
  readonly traceText: string;
  readonly traceAnswerIds: readonly number[];
}

// The same ids come from Hugging Face's tokenizers and numpy: test/oracle/nano_text_check.py.
const { cases } = JSON.parse(readFileSync('test/golden/nano_text.json', 'utf8')) as {
  cases: Case[];
};
const contract = readContract('models/nano');
const tokenizer = readTokenizer('models/nano');

describe('what nano is trained on', () => {
  it.each(cases)('$instruction: prompts and answers are these ids', (one) => {
    const action = actionPrompt(contract, tokenizer, one);
    const trace = tracePrompt(contract, tokenizer, { ...one, cells: new Map(one.places) });
    expect(action.ok && action.value.ids).toEqual(one.actionPromptIds);
    expect(trace.ok && trace.value.ids).toEqual(one.tracePromptIds);
    const decoding = actionDecodingFor(contract, { robot: 'sim', baseFrame: 'base_link' }, 1009);
    expect(idsFromDeltas([one.delta], decoding)).toEqual(one.actionAnswerIds);
    const text = formatTrace(one.traces, contract.answers.trace!);
    expect(text).toBe(one.traceText);
    expect(idsFromText(text, tokenizer, 1009)).toEqual(one.traceAnswerIds);
  });
});
