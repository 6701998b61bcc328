/** `text_config` of a config.json → DecoderConfig. */
import { z } from 'zod';
import { ModelError } from '../errors.js';
import type { DecoderConfig } from './checkpointConfig.js';

const size = z.int().positive();
const number = z.number().positive();

/**
 * What a key that is left out means is part of the format: transformers writes into `text_config` only what differs from
 * its LlamaConfig (`configuration_llama.py` of 4.40.1), and the config.json of openvla-7b leaves out all but `vocab_size`. The vocabulary has no default here: a checkpoint with added tokens always states it.
 */
export const textConfig = z.object({
  model_type: z.literal('llama').default('llama'),
  hidden_size: size.default(4096),
  intermediate_size: size.default(11008),
  num_hidden_layers: size.max(1000).default(32),
  num_attention_heads: size.default(32),
  /** Default: as many as `num_attention_heads`. */
  num_key_value_heads: size.nullish(),
  /** Default: hidden_size / num_attention_heads. */
  head_dim: size.nullish(),
  vocab_size: size,
  max_position_embeddings: size.max(2 ** 20).default(2048),
  rms_norm_eps: number.default(1e-6),
  /** Default: 10000. */
  rope_theta: number.nullish(),
  rope_scaling: z.null().optional(),
  /** How transformers 5 writes `rope_theta` and `rope_scaling`. */
  rope_parameters: z
    .strictObject({ rope_type: z.literal('default').optional(), rope_theta: number })
    .nullish(),
  hidden_act: z.literal('silu').default('silu'),
  attention_bias: z.literal(false).default(false),
  mlp_bias: z.literal(false).default(false),
  tie_word_embeddings: z.literal(false).default(false),
});

/** Cosines and sines of all positions are held until they are written, as fp32: 256 MB. Llama-3.1 has a quarter of them. */
const mostAngles = 2 ** 26;

export function decoderConfig(
  sizes: z.infer<typeof textConfig>,
  keyPrefix: string,
  where: string,
): DecoderConfig {
  const bases = [sizes.rope_theta, sizes.rope_parameters?.rope_theta].filter(
    (base) => base != null,
  );
  if (new Set(bases).size > 1) {
    const at = `${where}: text_config.rope_theta`;
    throw new ModelError(at, bases.join(' and, in rope_parameters, '), 'one angle base');
  }
  const decoder: DecoderConfig = {
    keyPrefix,
    layers: sizes.num_hidden_layers,
    hiddenSize: sizes.hidden_size,
    intermediateSize: sizes.intermediate_size,
    heads: sizes.num_attention_heads,
    keyValueHeads: sizes.num_key_value_heads ?? sizes.num_attention_heads,
    headDim: sizes.head_dim ?? sizes.hidden_size / sizes.num_attention_heads,
    vocabulary: sizes.vocab_size,
    maxPositions: sizes.max_position_embeddings,
    epsilon: sizes.rms_norm_eps,
    ropeTheta: bases[0] ?? 10_000,
  };
  const { heads, keyValueHeads, headDim } = decoder;
  if (heads % keyValueHeads !== 0) {
    const got = `${heads} heads for ${keyValueHeads} key/value heads`;
    throw new ModelError(`${where}: text_config.num_attention_heads`, got, 'a multiple');
  }
  // GroupQueryAttention of ONNX Runtime 1.30 rotates heads in steps of 16.
  if (headDim % 16 !== 0) {
    throw new ModelError(`${where}: text_config.head_dim`, String(headDim), 'a multiple of 16');
  }
  if (decoder.maxPositions * headDim > mostAngles) {
    const got = `${decoder.maxPositions} positions of ${headDim} angles`;
    const at = `${where}: text_config.max_position_embeddings`;
    throw new ModelError(at, got, `at most ${mostAngles} together`);
  }
  return decoder;
}
