// Writes test/golden/nano_text.json: prompts and answers of models/nano as token ids, made by this project's own code, for
// the training code to check itself against. Run after `npm run build`: node test/oracle/nano_text.mjs
import { writeFileSync } from 'node:fs';
import { idsFromDeltas, actionDecodingFor } from '../../dist/model/actionUnits.js';
import { idsFromText } from '../../dist/model/answerText.js';
import { readContract } from '../../dist/model/contract.js';
import { actionPrompt, tracePrompt } from '../../dist/model/prompt.js';
import { readTokenizer } from '../../dist/model/tokenizer.js';
import { formatTrace } from '../../dist/model/traceGrammar.js';

const contract = readContract('models/nano');
const tokenizer = readTokenizer('models/nano');
const endId = tokenizer.idOf(contract.tokens.eos);
const decoding = actionDecodingFor(contract, { robot: 'sim', baseFrame: 'base_link' }, endId);

const requests = [
  {
    instruction: 'pick the red block',
    state: { x: 0.48, y: 0.01, z: 0.2, yaw: 0.1, gripper: 1 },
    delta: { translation: [0.012, -0.034, -0.05], rotation: [0, 0, 0.1], gripper: 1 },
    traces: [
      {
        id: 2,
        start: [120, 96],
        future: Array.from({ length: 8 }, (_, n) => [120 - n, 100 + 4 * n]),
      },
    ],
    marks: [1, 2, 3],
    places: [
      [1, [98, 77]],
      [2, [120, 96]],
      [3, [0, 255]],
    ],
  },
  {
    instruction: 'put the yellow block on the blue pad',
    state: { x: 0.3, y: -0.4, z: 0.05, yaw: -1.3, gripper: 0 },
    delta: { translation: [0.06, 0, 0.001], rotation: [0, 0, -0.3], gripper: 0 },
    traces: [3, 5].map((id) => ({
      id,
      start: [10 * id, 255],
      future: Array.from({ length: 8 }, (_, n) => [10 * id + n, 255 - 9 * n]),
    })),
    marks: [3, 5],
    places: [
      [3, [30, 255]],
      [5, [50, 255]],
    ],
  },
  {
    instruction: 'push the green block left',
    state: { x: 0.6789, y: 0.2, z: 0.399, yaw: 0, gripper: 0.5 },
    delta: { translation: [0, 0.05, 0], rotation: [0, 0, 0], gripper: 0 },
    traces: [],
    marks: [7],
    places: [[7, [131, 8]]],
  },
];

const value = (answer) => {
  if (!answer.ok) throw new Error(answer.refusal.message);
  return answer.value.ids;
};
const cases = requests.map((request) => {
  const traceText = formatTrace(request.traces, contract.answers.trace);
  return {
    ...request,
    actionPromptIds: value(actionPrompt(contract, tokenizer, request)),
    actionAnswerIds: idsFromDeltas([request.delta], decoding),
    tracePromptIds: value(
      tracePrompt(contract, tokenizer, { ...request, cells: new Map(request.places) }),
    ),
    traceText,
    traceAnswerIds: idsFromText(traceText, tokenizer, endId),
  };
});
const lines = cases.map((one) => JSON.stringify(one)).join(',\n');
writeFileSync(new URL('../golden/nano_text.json', import.meta.url), `{"cases":[\n${lines}\n]}\n`);
