/**
 * Checkpoints of `model_type` openvla: openvla/openvla-7b and what is fine-tuned from it. DINOv2 and SigLIP side by side, a
 * three-layer projector, a Llama-2 decoder (openvla/openvla `prismatic/extern/hf`, `experiments/robot/openvla_utils.py`).
 */
import { z } from 'zod';
import { ModelError } from '../../errors.js';
import type { CheckpointFolder } from '../checkpointFolder.js';
import { parseSection } from '../parseSection.js';
import { timmVit } from '../towerConfig.js';
import { endEffectorDeltas, type Family, type FamilyOptions, type ModelJson } from './family.js';

const count = z.int().positive();
const rgb = z.tuple([z.number(), z.number(), z.number()]);

/** Values that change prompt, pictures or arithmetic, and the only one this family has code for. */
const configSchema = z.looseObject({
  use_fused_vision_backbone: z.literal(true),
  arch_specifier: z.literal('no-align+fused-gelu-mlp'),
  image_resize_strategy: z.literal('resize-naive'),
  /** Others were trained with other prompts: vicuna-v15-7b is OpenVLA v0.1. */
  llm_backbone_id: z.literal('llama2-7b-pure'),
  timm_model_ids: z.array(z.string()).length(2),
  image_sizes: z.array(count).length(2),
  pad_token_id: z.int(),
  pad_to_multiple_of: count,
  n_action_bins: z.int().min(2),
  text_config: z.looseObject({ vocab_size: count }),
  norm_stats: z.record(z.string(), z.unknown()).nullish(),
});

/** `PIL.Image.Resampling.BICUBIC` */
const bicubicOfPillow = 3;

const preprocessorSchema = z.looseObject({
  image_resize_strategy: z.literal('resize-naive'),
  input_sizes: z.array(z.tuple([z.literal(3), count, count])).length(2),
  interpolations: z.array(z.literal('bicubic')).length(2),
  means: z.array(rgb).length(2),
  stds: z.array(rgb).length(2),
  tvf_do_letterbox: z.literal(false).default(false),
  // These win over what stands above: loading assigns them last. Numbers were rounded to bfloat16 at conversion.
  tvf_resize_params: z
    .array(
      z.looseObject({ size: z.tuple([count, count]), interpolation: z.literal(bicubicOfPillow) }),
    )
    .length(2)
    .optional(),
  tvf_crop_params: z
    .array(z.looseObject({ output_size: z.tuple([count, count]) }))
    .length(2)
    .optional(),
  tvf_normalize_params: z
    .array(z.looseObject({ mean: rgb, std: rgb }))
    .length(2)
    .optional(),
});

type Config = z.infer<typeof configSchema>;

export const openVla: Family = {
  // As `get_vla` of openvla_utils.py: the file of a fine-tune wins over what it inherited.
  statistics: (folder) => {
    const config = readConfig(folder);
    const inherited = config.norm_stats ? JSON.stringify(config.norm_stats, null, 2) : null;
    return [
      { where: folder.file('dataset_statistics.json'), text: folder.statistics },
      { where: `${folder.file('config.json')}: norm_stats`, text: inherited },
    ];
  },
  notes: [
    'Pictures are resized with bicubic, as preprocessor_config.json says. Training data, and the pictures in evaluations of openvla/openvla on Bridge and LIBERO, were resized with TensorFlow\'s lanczos3 before: "filter": "lanczos3" in model.json does so.',
  ],
  wholePicture:
    'Pictures are shown whole: a model fine-tuned with image_aug, as vla-scripts/finetune.py of openvla/openvla does by default, answers best with --centre-crop 0.9.',
  contract: openVlaContract,
};

function openVlaContract(folder: CheckpointFolder, options: FamilyOptions): ModelJson {
  refuseParallelDecoding(folder);
  const config = readConfig(folder);
  const { tokenizer } = folder;
  const { name, robots, statistics, period, centreCrop } = options;
  const kinds = config.timm_model_ids.map(
    (id, i) => timmVit(id, `${folder.file('config.json')}: timm_model_ids.${i}`).kind,
  );
  const [height, width] = pictureSize(config, folder);
  return {
    version: 1,
    name,
    recipes: recipes(kinds, config, folder),
    towers: [
      { kind: kinds[0]!, recipe: recipeNames[kinds[0]!], keyPrefix: 'vision_backbone.featurizer.' },
      {
        kind: kinds[1]!,
        recipe: recipeNames[kinds[1]!],
        keyPrefix: 'vision_backbone.fused_featurizer.',
      },
    ],
    projector: { kind: 'mlp3x_gelu', keyPrefix: 'projector.', rowSeparator: null },
    decoder: { kind: 'llama', keyPrefix: 'language_model.' },
    ignoredKeys: [],
    tokens: { bos: tokenizer.bos, eos: tokenizer.eos, image: padToken(config, folder) },
    prompts: {
      action: {
        bos: 1,
        segments: [
          {
            image: 'primary',
            resize: { filter: 'bicubic', height, width },
            ...(centreCrop < 1 ? { centreCropArea: centreCrop } : {}),
          },
          { text: 'In: What action should the robot take to ' },
          { instruction: 'lowercase' },
          { text: '?\nOut:' },
        ],
        appendIfMissing: emptyToken(folder),
      },
    },
    state: [],
    answers: {
      action: {
        ...endEffectorDeltas,
        chunk: 1,
        period,
        vocabulary: config.text_config.vocab_size - config.pad_to_multiple_of,
        bins: config.n_action_bins,
        statistics: { file: 'dataset_statistics.json', default: statistics },
      },
    },
    robots,
  };
}

/**
 * moojink/openvla-oft saves the same config.json for a decoder that was trained to attend both ways and whose actions come
 * from a head of its own: run as what config.json says, it would answer nonsense.
 */
function refuseParallelDecoding({ names, file }: CheckpointFolder): void {
  const head = names.find((name) => /^(action_head|proprio_projector)--.*\.pt$/.test(name));
  if (head === undefined) return;
  const expected = 'a model that answers in action tokens; OpenVLA-OFT decodes all at once';
  throw new ModelError(file(head), 'a part of OpenVLA-OFT', expected);
}

const recipeNames = { dinov2: 'dino', siglip: 'siglip' } as const;

function recipes(
  kinds: readonly (keyof typeof recipeNames)[],
  config: Config,
  folder: CheckpointFolder,
): ModelJson['recipes'] {
  const { means, stds, tvf_normalize_params: stored } = readPreprocessor(folder);
  const entries = kinds.map((kind, i) => {
    const canvas = { cropSize: config.image_sizes[i]!, maxCrops: 1 };
    const { mean, std } = stored?.[i] ?? { mean: means[i]!, std: stds[i]! };
    return [recipeNames[kind], { canvas, mean, std }] as const;
  });
  return Object.fromEntries(entries);
}

/** Both towers see one picture, resized once. */
function pictureSize(config: Config, folder: CheckpointFolder): readonly [number, number] {
  const [size, other] = [config.image_sizes[0]!, config.image_sizes[1]!];
  if (size !== other) {
    const where = `${folder.file('config.json')}: image_sizes`;
    throw new ModelError(where, `${size} and ${other}`, 'one size, of the one picture both see');
  }
  const { input_sizes, tvf_resize_params, tvf_crop_params } = readPreprocessor(folder);
  const sizes = {
    input_sizes: input_sizes.map(([, height, width]) => [height, width] as const),
    tvf_resize_params: tvf_resize_params?.map((params) => params.size) ?? [],
    // A smaller one would cut the middle out of the picture.
    tvf_crop_params: tvf_crop_params?.map((params) => params.output_size) ?? [],
  };
  for (const [key, pairs] of Object.entries(sizes)) {
    for (const [i, [height, width]] of pairs.entries()) {
      if (height === size && width === size) continue;
      const where = `${folder.file('preprocessor_config.json')}: ${key}.${i}`;
      throw new ModelError(where, `${height}×${width}`, `${size}×${size}, as config.json says`);
    }
  }
  return [size, size];
}

/** The visual tokens stand where this token would: no text has it. */
function padToken({ pad_token_id: id }: Config, folder: CheckpointFolder): string {
  const name = folder.tokenizer.added.get(id);
  if (name !== undefined) return name;
  const where = `${folder.file('config.json')}: pad_token_id`;
  throw new ModelError(where, String(id), "the id of one of tokenizer.json's added tokens");
}

/** `predict_action` appends 29871, Llama-2's id of a lone space, which training had after `Out:`. */
function emptyToken(folder: CheckpointFolder): number {
  const id = folder.tokenizer.pieces['▁'];
  if (id !== undefined) return id;
  throw new ModelError(folder.file('tokenizer.json'), 'no piece "▁"', "Llama-2's vocabulary");
}

function readConfig(folder: CheckpointFolder): Config {
  return parseSection(configSchema, folder.config, folder.file('config.json'));
}

function readPreprocessor(folder: CheckpointFolder): z.infer<typeof preprocessorSchema> {
  const where = folder.file('preprocessor_config.json');
  return parseSection(preprocessorSchema, folder.preprocessor, where);
}
