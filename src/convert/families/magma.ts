/**
 * Checkpoints of `model_type` magma, such as microsoft/Magma-8B: a ConvNeXt, a two-layer projector with row separators, a
 * Llama-3 decoder. Prompts as microsoft/Magma writes them: README (actions, questions), agents/robot_traj/app.py (traces),
 * tools/lmms-eval-magma/magma.py (videos), data/conversations.py (location), agents/ui_agent/app.py (screens).
 */
import { z } from 'zod';
import { ModelError } from '../../errors.js';
import type { Prompt, Segment } from '../../model/contract.js';
import type { CheckpointFolder } from '../checkpointFolder.js';
import { parseSection } from '../parseSection.js';
import { endEffectorDeltas, type Family, type FamilyOptions, type ModelJson } from './family.js';

const rgb = z.tuple([z.number(), z.number(), z.number()]);

const configSchema = z.looseObject({
  image_token_index: z.int().optional(),
  image_token_id: z.int().optional(),
  mm_use_image_start_end: z.boolean().default(true),
  vision_config: z.looseObject({
    img_size: z.int().positive().optional(),
    max_num_crops: z.int().positive().optional(),
    img_anyres_strategy: z.literal('crop').optional(),
  }),
});

/** Mean and deviation where the file has none: the defaults of `image_processing_magma.py`, OpenAI's CLIP. */
const preprocessorSchema = z.looseObject({
  anyres_strategy: z.literal('crop'),
  base_img_size: z.int().positive(),
  num_crops: z.int().positive(),
  image_mean: rgb.default([0.48145466, 0.4578275, 0.40821073]),
  image_std: rgb.default([0.26862954, 0.26130258, 0.27577711]),
});

export const magma: Family = {
  statistics: (folder) => [
    { where: folder.file('dataset_statistics.json'), text: folder.statistics },
  ],
  notes: [],
  wholePicture: null,
  contract: magmaContract,
};

function magmaContract(folder: CheckpointFolder, options: FamilyOptions): ModelJson {
  const config = parseSection(configSchema, folder.config, folder.file('config.json'));
  const { tokenizer } = folder;
  const dialogue = dialogueOf(folder, config.mm_use_image_start_end);
  const { name, robots, statistics, period } = options;
  return {
    version: 1,
    name,
    recipes: { clip: recipe(folder, config.vision_config) },
    towers: [
      { kind: 'convnext', recipe: 'clip', keyPrefix: 'vision_tower.clip_vision_model.trunk.' },
    ],
    projector: {
      kind: 'mlp2x_gelu',
      keyPrefix: 'multi_modal_projector.',
      rowSeparator: 'row_seperator',
    },
    decoder: { kind: 'llama', keyPrefix: 'language_model.' },
    ignoredKeys: [
      'vision_tower.clip_vision_model.trunk.head.',
      'vision_tower.clip_vision_model.head.',
      'multi_modal_projector.img_start_seperator',
      'multi_modal_projector.img_end_seperator',
    ],
    tokens: { bos: tokenizer.bos, eos: tokenizer.eos, image: imageToken(folder, config) },
    prompts: prompts(dialogue),
    state: [],
    answers: {
      action: {
        ...endEffectorDeltas,
        chunk: 1,
        period,
        // `tokenizer.vocab_size` of the public code: without the added tokens.
        vocabulary: tokenizer.vocabulary.ordinary,
        bins: 256,
        statistics: { file: 'dataset_statistics.json', default: statistics },
      },
      trace: {
        grammar: 'magma',
        camera: 'primary',
        grid: 256,
        marks: { min: 1, max: 15 },
        speed: 8,
        steps: 8,
        length: 'atMost',
        period,
        maxTokens: 1000,
      },
      question: { maxTokens: 500 },
      video: { frames: { max: 32 }, maxTokens: 500 },
      location: { grammar: 'magma', grid: 256, marks: { min: 1, max: 19 }, maxTokens: 400 },
      interface: { grammar: 'magma', marks: { max: 1000 }, maxTokens: 128 },
    },
    robots,
  };
}

function recipe(
  folder: CheckpointFolder,
  vision: z.infer<typeof configSchema>['vision_config'],
): ModelJson['recipes'][string] {
  const where = folder.file('preprocessor_config.json');
  const {
    base_img_size: cropSize,
    num_crops: maxCrops,
    image_mean: mean,
    image_std: std,
  } = parseSection(preprocessorSchema, folder.preprocessor, where);
  const pairs = {
    base_img_size: [cropSize, vision.img_size],
    num_crops: [maxCrops, vision.max_num_crops],
  } as const;
  for (const [key, [here, there]] of Object.entries(pairs)) {
    if (there === undefined || there === here) continue;
    throw new ModelError(`${where}: ${key}`, String(here), `${there}, as config.json says`);
  }
  return { canvas: { cropSize, maxCrops }, mean, std };
}

function imageToken(folder: CheckpointFolder, config: z.infer<typeof configSchema>): string {
  const id = config.image_token_index ?? config.image_token_id;
  const where = `${folder.file('config.json')}: image_token_index`;
  if (id === undefined) throw new ModelError(where, 'nothing', 'the id of the image token');
  const name = folder.tokenizer.added.get(id);
  if (name !== undefined) return name;
  throw new ModelError(where, String(id), "the id of one of tokenizer.json's added tokens");
}

/** What stands around what a user says. */
interface Dialogue {
  /** Beginning-of-sequence ids: one of the chat template, and one of the tokenizer that reads what it wrote. */
  readonly bos: number;
  /** Whether `<image>` stands between `<image_start>` and `<image_end>` (`mm_use_image_start_end`). */
  readonly imageStartEnd: boolean;
}

/** Llama 3's chat template is the one prompts are written for. */
function dialogueOf({ tokenizer, path }: CheckpointFolder, imageStartEnd: boolean): Dialogue {
  const { chatTemplate, addsBos, bos } = tokenizer;
  const where = `${path}: chat template`;
  const names = ['<|start_header_id|>', '<|end_header_id|>', '<|eot_id|>'];
  const missing = names.find((name) => !chatTemplate?.includes(name));
  if (chatTemplate === null || missing !== undefined) {
    const got = chatTemplate === null ? 'none' : `one without ${missing}`;
    throw new ModelError(where, got, `Llama 3's, with ${names.join(', ')}`);
  }
  const inTemplate = chatTemplate.includes('bos_token') || chatTemplate.includes(bos);
  return { bos: Number(inTemplate) + Number(addsBos), imageStartEnd };
}

function prompts(dialogue: Dialogue): ModelJson['prompts'] {
  const say = (...segments: readonly Segment[]): Prompt => ({
    bos: dialogue.bos,
    segments: [
      ...headed('system', '\n\nYou are agent that can see, talk and act.'),
      { token: '<|eot_id|>' },
      ...headed('user', '\n\n'),
      ...segments,
      { token: '<|eot_id|>' },
      ...headed('assistant', '\n\n'),
    ],
  });
  const show = (image: Extract<Segment, { image: string }>) =>
    dialogue.imageStartEnd
      ? ([{ token: '<image_start>' }, image, { token: '<image_end>' }] as const)
      : ([image] as const);
  const resize = { filter: 'bicubic', height: 256, width: 256 } as const;
  return {
    action: say(
      ...show({ image: 'primary', resize }),
      { text: '\nWhat action should the robot take to ' },
      { instruction: 'asGiven' },
      { text: '?' },
    ),
    trace: say(
      ...show({ image: 'primary', marks: 'drawn', resize }),
      { text: '\nThe image is split into 256x256 grids and is labeled with numeric marks [' },
      { marks: ', ' },
      { text: '].\nThe robot is doing: ' },
      { instruction: 'asGiven' },
      { text: '. To finish the task, how to move the numerical marks in the image with speed ' },
      { speed: 'gridPerStep' },
      { text: ' for the next ' },
      { steps: 'count' },
      { text: ' steps?' },
    ),
    question: say(...show({ image: 'picture' }), { text: '\n' }, { instruction: 'asGiven' }),
    video: say(
      { frames: [...show({ image: 'frame', maxCrops: 1 }), { text: '\n' }] },
      { instruction: 'asGiven' },
    ),
    // One crop: data/conversations.py sets num_crops to 1 wherever it asks this.
    location: say(...show({ image: 'picture', marks: 'drawn', maxCrops: 1 }), {
      text: '\n\nThe image is split into 256x256 grids, and labeled with numeric marks.\nPlease locate all the numerical marks in the image.',
    }),
    interface: say(
      ...show({ image: 'picture', marks: 'boxes' }),
      { text: '\nIn this view I need to click a button to "' },
      { instruction: 'asGiven' },
      {
        text: '"? Provide the coordinates and the mark index of the containing bounding box if applicable.',
      },
    ),
  };
}

function headed(role: string, after: string): readonly Segment[] {
  return [
    { token: '<|start_header_id|>' },
    { text: role },
    { token: '<|end_header_id|>' },
    { text: after },
  ];
}
