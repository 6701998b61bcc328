/** The small files of synthetic checkpoints, with the keys and values that the public ones have where they are known. */
import { ModelError } from '../errors.js';
import { llama2StandIn, llama3StandIn, type StandInTokenizer } from './syntheticTokenizer.js';

export type SyntheticFiles = (
  size: 'full' | 'tiny',
  layers: number | undefined,
) => Readonly<Record<string, string>>;

/** Public q01 and q99 of the two data sets, m, rad and gripper. */
const statistics = {
  bridge_orig: {
    action: {
      q01: [
        -0.02872725307941437, -0.04170349963009357, -0.026093858778476715, -0.08092105075716972,
        -0.09288699507713317, -0.20718276381492615, 0,
      ],
      q99: [
        0.028309678435325586, 0.040855254605412394, 0.040161586627364146, 0.08192047759890528,
        0.07792850524187081, 0.20382574498653397, 1,
      ],
      mask: [true, true, true, true, true, true, false],
    },
  },
  fractal20220817_data: {
    action: {
      q01: [
        -0.22453527510166169, -0.14820013284683228, -0.231589707583189, -0.3517994859814644,
        -0.4193011274933815, -0.43643461108207704, 0,
      ],
      q99: [
        0.17824687153100965, 0.14938379630446405, 0.21842354819178575, 0.5892666035890578,
        0.35272657424211445, 0.44796681255102094, 1,
      ],
      mask: [true, true, true, true, true, true, false],
    },
  },
};

const readme =
  'Random weights, made by `magma-vla synthetic`. They have learned nothing: what this model answers is no answer.\n';

export const magmaFiles: SyntheticFiles = (size, layers) => {
  const full = size === 'full';
  const ordinary = full ? 128_000 : 512;
  const cropSize = full ? 512 : 64;
  const text = full
    ? {
        hidden_size: 4096,
        intermediate_size: 14336,
        num_attention_heads: 32,
        num_key_value_heads: 8,
      }
    : { hidden_size: 64, intermediate_size: 128, num_attention_heads: 4, num_key_value_heads: 2 };
  const towers = full
    ? { vision_backbone: 'convnextxxlarge', mm_hidden_size: 3072 }
    : {
        ...{ vision_backbone: 'convnext', mm_hidden_size: 48, patch_size: 4 },
        ...{ dims: [12, 24, 36, 48], depths: [1, 1, 2, 1], layer_norm_eps: 1e-5 },
      };
  const config = {
    architectures: ['MagmaForCausalLM'],
    image_token_index: ordinary + 257,
    mm_use_image_start_end: true,
    model_type: 'magma',
    text_config: {
      model_type: 'llama',
      ...{ bos_token_id: ordinary, eos_token_id: ordinary + 9 },
      ...text,
      num_hidden_layers: layersOf(layers, full ? 32 : 2),
      max_position_embeddings: full ? 8192 : 2048,
      ...{ rms_norm_eps: 1e-5, rope_theta: 500000.0, torch_dtype: 'bfloat16' },
      vocab_size: paddedTo64(ordinary + 261),
    },
    tie_word_embeddings: false,
    torch_dtype: 'bfloat16',
    vision_config: {
      ...{ img_anyres_strategy: 'crop', img_size: cropSize, max_num_crops: 4 },
      ...{ mm_projector_type: 'mlp2x_gelu', mm_use_row_seperator: true },
      vision_feature_layer: 'clip_vis_dense',
      ...towers,
    },
  };
  const preprocessor = {
    ...{ anyres_strategy: 'crop', base_img_size: cropSize, num_crops: 4, do_convert_rgb: true },
    image_mean: [0.48145466, 0.4578275, 0.40821073],
    image_std: [0.26862954, 0.26130258, 0.27577711],
    image_processor_type: 'MagmaImageProcessor',
  };
  const generation = { bos_token_id: ordinary, eos_token_id: [ordinary + 1, ordinary + 9] };
  return texts(config, preprocessor, generation, llama3StandIn(ordinary));
};

export const openVlaFiles: SyntheticFiles = (size, layers) => {
  const full = size === 'full';
  const ordinary = full ? 32_000 : 1024;
  const side = full ? 224 : 56;
  const text = full
    ? layers === undefined
      ? {}
      : { num_hidden_layers: layersOf(layers, 32) }
    : {
        ...{ hidden_size: 64, intermediate_size: 128, num_hidden_layers: layersOf(layers, 2) },
        num_attention_heads: 4,
      };
  const towers = [
    { embed_dim: 32, depth: 3, num_heads: 2 },
    { embed_dim: 64, depth: 4, num_heads: 4, mlp_ratio: 3.75 },
  ];
  const config = {
    arch_specifier: 'no-align+fused-gelu-mlp',
    architectures: ['OpenVLAForActionPrediction'],
    hf_llm_id: 'meta-llama/Llama-2-7b-hf',
    image_resize_strategy: 'resize-naive',
    image_sizes: [side, side],
    llm_backbone_id: 'llama2-7b-pure',
    llm_max_length: 2048,
    model_type: 'openvla',
    n_action_bins: 256,
    norm_stats: statistics,
    output_projector_states: false,
    pad_to_multiple_of: 64,
    pad_token_id: ordinary,
    text_config: {
      model_type: 'llama',
      ...text,
      pad_token_id: ordinary,
      torch_dtype: 'bfloat16',
      vocab_size: ordinary + 64,
    },
    timm_model_ids: ['vit_large_patch14_reg4_dinov2.lvd142m', 'vit_so400m_patch14_siglip_224'],
    ...(full ? {} : { timm_model_args: towers }),
    timm_override_act_layers: [null, null],
    torch_dtype: 'bfloat16',
    use_fused_vision_backbone: true,
    vision_backbone_id: 'dinosiglip-vit-so-224px',
  };
  const half = [0.5, 0.5, 0.5];
  const preprocessor = {
    image_processor_type: 'PrismaticImageProcessor',
    image_resize_strategy: 'resize-naive',
    input_sizes: [side, side].map((edge) => [3, edge, edge]),
    interpolations: ['bicubic', 'bicubic'],
    means: [[0.485, 0.456, 0.406], half],
    stds: [[0.229, 0.224, 0.225], half],
    tvf_do_letterbox: false,
    tvf_letterbox_fill: null,
    // The converter to Hugging Face's format computed these in bfloat16, and loading takes them as they are.
    tvf_normalize_params: [
      {
        inplace: false,
        mean: [0.484375, 0.455078125, 0.40625],
        std: [0.228515625, 0.2236328125, 0.224609375],
      },
      { inplace: false, mean: half, std: half },
    ],
    use_fused_vision_backbone: true,
  };
  const generation = { bos_token_id: 1, eos_token_id: 2, pad_token_id: ordinary };
  return texts(config, preprocessor, generation, llama2StandIn(ordinary));
};

function texts(
  config: object,
  preprocessor: object,
  generation: object,
  { tokenizer, config: tokenizerConfig, specialTokens }: StandInTokenizer,
): Readonly<Record<string, string>> {
  const files = {
    'config.json': config,
    'preprocessor_config.json': preprocessor,
    'generation_config.json': generation,
    'tokenizer.json': tokenizer,
    'tokenizer_config.json': tokenizerConfig,
    'special_tokens_map.json': specialTokens,
    // No part of a public checkpoint: for --statistics.
    'synthetic_statistics.json': statistics,
  };
  const written = Object.entries(files).map(
    ([name, value]) => [name, `${JSON.stringify(value, null, 2)}\n`] as const,
  );
  return { ...Object.fromEntries(written), 'README.md': readme };
}

function layersOf(layers: number | undefined, all: number): number {
  if (layers === undefined) return all;
  if (Number.isInteger(layers) && layers >= 1 && layers <= all) return layers;
  throw new ModelError('synthetic layers', String(layers), `1 … ${all}`);
}

function paddedTo64(rows: number): number {
  return 64 * Math.ceil(rows / 64);
}
