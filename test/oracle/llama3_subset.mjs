// Writes test/golden/llama3_subset.json: the part of Llama 3's tokenizer that the texts below need, with its real ids,
// in Hugging Face's tokenizer.json format. Source: npm llama3-tokenizer-js (MIT), a development dependency:
//   node test/oracle/llama3_subset.mjs
import { writeFileSync } from 'node:fs';
import llama3 from 'llama3-tokenizer-js';

const texts = [
  'system\n\n user\n\n assistant\n\n',
  '\n\nYou are agent that can see, talk and act.',
  '\nWhat action should the robot take to pick coke can?',
  '\nThe image is split into 256x256 grids and is labeled with numeric marks [1, 2, 3, 4, 5, 6, 7, 8, 9].\n',
  'The robot is doing: pick coke can. To finish the task, how to move the numerical marks in the image',
  ' with speed 8 for the next 8 steps?\n',
  'Mark 3 at [1,2], Mark 5 at [1,2] should be moved, and their future positions are:\n\n',
  '"Mark 3": "[[1,2],[1,2]]"\n\n"Mark 5": "[[1,2]]"\n\n',
  '\nWhat is the letter on the robot?',
  '\nWhat does the robot do? Answer the question briefly. A robot arm picks a red block.',
  '\n\nThe image is split into 256x256 grids, and labeled with numeric marks.\n',
  'Please locate all the numerical marks in the image.',
  'Mark 1 at [1,2]. Mark 2 at [1,2]\n',
  '\nIn this view I need to click a button to "Go to the top ranked post"? Provide the coordinates',
  ' and the mark index of the containing bounding box if applicable.',
  'Coordinate: (0.17, 0.43). Mark: 3.',
  Array.from({ length: 256 }, (_, n) => String(n)).join(' '),
];
const split =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const pieces = new RegExp(
  split.replace("(?i:'s|'t|'re|'ve|'m|'ll|'d)", "'(?:[sdmt]|ll|ve|re)"),
  'gu',
);

const vocab = {};
const add = (token) => (vocab[token] = llama3.vocabByString.get(token));
llama3.vocabById.slice(0, 256).forEach(add);
// The texts are ASCII: one byte per character.
const symbol = (text) =>
  [...text]
    .map((character) => llama3.vocabById[llama3.encode(character, { bos: false, eos: false })[0]])
    .join('');
const words = new Set(texts.flatMap((text) => text.match(pieces)).map(symbol));
const merges = [...llama3.merges.keys()]
  .map((pair) => pair.split(' '))
  .filter(([left, right]) => [...words].some((word) => word.includes(left + right)));
for (const [left, right] of merges) [left, right, left + right].forEach(add);
for (const word of words) if (llama3.vocabByString.has(word)) add(word);

const names = {
  128000: '<|begin_of_text|>',
  128006: '<|start_header_id|>',
  128007: '<|end_header_id|>',
  128009: '<|eot_id|>',
  128256: '<pad>',
  128257: '<image>',
  128258: '<action>',
  128259: '<image_start>',
  128260: '<image_end>',
};
// The 256 highest ordinary ids are Magma's action ids: their texts do not matter, their presence does.
for (let id = 127744; id < 128000; id += 1) vocab[llama3.vocabById[id]] = id;

const byteLevel = {
  type: 'ByteLevel',
  add_prefix_space: false,
  trim_offsets: true,
  use_regex: false,
};
const tokenizer = {
  version: '1.0',
  added_tokens: Object.entries(names).map(([id, content]) => ({
    id: Number(id),
    content,
    special: true,
  })),
  normalizer: null,
  pre_tokenizer: {
    type: 'Sequence',
    pretokenizers: [
      { type: 'Split', pattern: { Regex: split }, behavior: 'Isolated', invert: false },
      byteLevel,
    ],
  },
  post_processor: byteLevel,
  decoder: byteLevel,
  model: { type: 'BPE', ignore_merges: true, vocab, merges },
};
const path = new URL('../golden/llama3_subset.json', import.meta.url);
writeFileSync(path, JSON.stringify(tokenizer) + '\n');
console.log(`${Object.keys(vocab).length} tokens, ${merges.length} merges`);
