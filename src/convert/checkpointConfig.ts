/**
 * config.json of a checkpoint (sizes) and the parts of its contract that say how its weights are named → what the
 * graphs are built from. Keys of config.json that say nothing about the arithmetic are ignored; values that would
 * change it are refused, never assumed.
 */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { ModelError, gotAt } from '../errors.js';
import type { Contract } from '../model/contract.js';

const size = z.int().positive();

const visionConfig = z.object({
  /** Side and stride of the stem's patches, pixels. */
  patch_size: size,
  dims: z.array(size).min(1),
  depths: z.array(size).min(1),
  layer_norm_eps: z.number().positive(),
  kernel_size: z.literal(7).default(7),
  mlp_ratio: z.literal(4).default(4),
});

const textConfig = z.object({
  hidden_size: size,
  intermediate_size: size,
  num_hidden_layers: size,
  num_attention_heads: size,
  num_key_value_heads: size,
  /** Default: hidden_size / num_attention_heads. */
  head_dim: size.optional(),
  vocab_size: size,
  max_position_embeddings: size,
  rms_norm_eps: z.number().positive(),
  rope_theta: z.number().positive(),
  rope_scaling: z.null().optional(),
  hidden_act: z.literal('silu').default('silu'),
  attention_bias: z.literal(false).default(false),
  mlp_bias: z.literal(false).default(false),
  tie_word_embeddings: z.literal(false).default(false),
});

const schema = z.object({
  text_config: textConfig,
  vision_config: visionConfig,
});

/** How the weights are named and put together: part of a Contract. Prefixes end with their dot. */
export type CheckpointLayout = Pick<Contract, 'towers' | 'projector' | 'decoder' | 'ignoredKeys'>;

export interface ConvNextConfig {
  readonly keyPrefix: string;
  readonly patchSize: number;
  readonly widths: readonly number[];
  readonly depths: readonly number[];
  readonly epsilon: number;
}

export interface ProjectorConfig {
  readonly keyPrefix: string;
  /** Name of the token after every row, below the prefix; null: none. */
  readonly rowSeparator: string | null;
}

export interface DecoderConfig {
  readonly keyPrefix: string;
  readonly layers: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headDim: number;
  readonly vocabulary: number;
  readonly maxPositions: number;
  readonly epsilon: number;
  readonly ropeTheta: number;
}

export interface CheckpointConfig {
  readonly tower: ConvNextConfig;
  readonly projector: ProjectorConfig;
  readonly decoder: DecoderConfig;
  readonly ignoredKeys: readonly string[];
}

/** @throws ModelError naming the key, what was got and what was expected. */
export function parseCheckpointConfig(
  text: string,
  layout: CheckpointLayout,
  where: string,
): CheckpointConfig {
  checkLayout(layout, where);
  const raw = parseJson(text, where);
  const parsed = schema.safeParse(raw);
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0]!;
    throw new ModelError(`${where}: ${path.join('.')}`, gotAt(raw, path), message);
  }
  const { text_config: sizes, vision_config: vision } = parsed.data;
  const decoder: DecoderConfig = {
    keyPrefix: layout.decoder.keyPrefix,
    layers: sizes.num_hidden_layers,
    hiddenSize: sizes.hidden_size,
    intermediateSize: sizes.intermediate_size,
    heads: sizes.num_attention_heads,
    keyValueHeads: sizes.num_key_value_heads,
    headDim: sizes.head_dim ?? sizes.hidden_size / sizes.num_attention_heads,
    vocabulary: sizes.vocab_size,
    maxPositions: sizes.max_position_embeddings,
    epsilon: sizes.rms_norm_eps,
    ropeTheta: sizes.rope_theta,
  };
  checkDecoder(decoder, where);
  if (vision.dims.length !== vision.depths.length) {
    const got = `${vision.depths.length} depths for ${vision.dims.length} dims`;
    throw new ModelError(`${where}: vision_config.depths`, got, 'one depth per stage');
  }
  return {
    tower: {
      keyPrefix: layout.towers[0]!.keyPrefix,
      patchSize: vision.patch_size,
      widths: vision.dims,
      depths: vision.depths,
      epsilon: vision.layer_norm_eps,
    },
    projector: layout.projector,
    decoder,
    ignoredKeys: layout.ignoredKeys,
  };
}

export function readCheckpointConfig(path: string, layout: CheckpointLayout): CheckpointConfig {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ModelError(path, (error as Error).message, 'a readable config.json');
  }
  return parseCheckpointConfig(text, layout, path);
}

/** What this builder can build today: one ConvNeXt tower, a two-layer projector. */
function checkLayout({ towers, projector }: CheckpointLayout, where: string): void {
  const kinds = towers.map((tower) => tower.kind).join(', ');
  if (kinds !== 'convnext') throw new ModelError(`${where}: towers`, kinds, 'one convnext');
  if (projector.kind !== 'mlp2x_gelu') {
    throw new ModelError(`${where}: projector`, projector.kind, 'mlp2x_gelu');
  }
}

function checkDecoder(decoder: DecoderConfig, where: string): void {
  const { heads, keyValueHeads, headDim } = decoder;
  if (heads % keyValueHeads !== 0) {
    const got = `${heads} heads for ${keyValueHeads} key/value heads`;
    throw new ModelError(`${where}: text_config.num_attention_heads`, got, 'a multiple');
  }
  if (headDim % 8 !== 0) {
    throw new ModelError(`${where}: text_config.head_dim`, String(headDim), 'a multiple of 8');
  }
}

function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ModelError(where, (error as Error).message, 'JSON');
  }
}
