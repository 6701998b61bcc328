/**
 * Llama 3's whole vocabulary in our tokenizer: against Hugging Face's (test/oracle/llama3_reference.py, whose ids include
 * the chat template and the automatic beginning of text) and against npm llama3-tokenizer-js.
 */
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { readContract } from '../../src/model/contract.js';
import { actionPrompt, questionPrompt, tracePrompt } from '../../src/model/prompt.js';
import type { PromptIds } from '../../src/model/prompt.js';
import { checkVocabulary, type Tokenizer } from '../../src/model/tokenizer.js';
import type { Answer } from '../../src/types.js';
import { llama3Ids, llama3Tokenizer } from '../support/llama3.js';

const golden = JSON.parse(readFileSync('test/golden/llama3_reference.json', 'utf8')) as {
  prompts: Readonly<Record<string, readonly number[]>>;
  texts: readonly { text: string; ids: readonly number[] }[];
};
const magma = readContract('test/golden/magma8b');
/** [how it is called, text, ids] */
const texts = golden.texts.map(
  ({ text, ids }) => [JSON.stringify(text).slice(0, 60), text, ids] as const,
);
let tokenizer: Tokenizer;

beforeAll(() => {
  tokenizer = llama3Tokenizer();
});

function idsOf(answer: Answer<PromptIds>): readonly number[] {
  if (!answer.ok) throw new Error(answer.refusal.message);
  return answer.value.ids;
}

describe("Llama 3's tokenizer in our hands", () => {
  it('is the one that the contract of Magma-8B needs', () => {
    expect(tokenizer.ordinary).toBe(128000);
    expect(() => checkVocabulary(magma, tokenizer, 'tokenizer.json')).not.toThrow();
  });

  it.each(texts)('splits %s as Hugging Face does', (_, text, ids) => {
    expect(tokenizer.encode(text)).toEqual(ids);
    expect(llama3Ids(text)).toEqual(ids);
  });

  it.each(texts)('writes %s back', (_, text, ids) => {
    expect(tokenizer.decode(ids)).toBe(text);
  });

  it('splits every pair of difficult texts as npm llama3-tokenizer-js does', () => {
    for (const { text: first } of golden.texts) {
      for (const { text: second } of golden.texts) {
        const text = first + second;
        expect(tokenizer.encode(text)).toEqual(llama3Ids(text));
      }
    }
  });
});

describe("Magma's prompts with Llama 3's vocabulary", () => {
  it.each([
    ['action', () => actionPrompt(magma, tokenizer, { instruction: 'pick coke can' })],
    [
      'trace',
      () => {
        const marks = [9, 8, 7, 6, 5, 4, 3, 2, 1];
        return tracePrompt(magma, tokenizer, { instruction: 'Pick up the chip bag.', marks });
      },
    ],
    [
      'question',
      () => {
        const instruction = 'What is the letter on the robot?';
        return questionPrompt('question', magma, tokenizer, { instruction });
      },
    ],
    ['interface', () => questionPrompt('interface', magma, tokenizer, { instruction: 'Settings' })],
    [
      'video',
      () => {
        const request = { instruction: 'What is the robot doing?', frames: 3 };
        return questionPrompt('video', magma, tokenizer, request);
      },
    ],
    ['location', () => questionPrompt('location', magma, tokenizer, { instruction: '' })],
  ] as const)('ask for %s in the ids of the public code, both beginnings included', (name, ask) => {
    expect(idsOf(ask())).toEqual(golden.prompts[name]);
    expect(golden.prompts[name]!.slice(0, 3)).toEqual([128000, 128000, 128006]);
  });

  it('are for an action the 42 ids that the public issue 36 of microsoft/Magma prints', () => {
    const printed = [
      128000, 128000, 128006, 9125, 128007, 271, 2675, 527, 8479, 430, 649, 1518, 11, 3137, 323,
      1180, 13, 128009, 128006, 882, 128007, 271, 128259, 128257, 128260, 198, 3923, 1957, 1288,
      279, 12585, 1935, 311, 3820, 84423, 649, 30, 128009, 128006, 78191, 128007, 271,
    ];
    expect(golden.prompts['action']).toEqual(printed);
  });
});
