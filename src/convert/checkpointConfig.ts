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
  readonly kind: 'convnext';
  readonly keyPrefix: string;
  readonly patchSize: number;
  readonly widths: readonly number[];
  readonly depths: readonly number[];
  readonly epsilon: number;
}

/**
 * A Vision Transformer as timm 0.9.10 builds it (`vision_transformer.py`, names of that file), of which the patch
 * tokens of one block are the features, without the final norm (`get_intermediate_layers`).
 */
export interface VitConfig {
  readonly kind: 'vit';
  readonly keyPrefix: string;
  /** Side of the square picture, px; a multiple of `patchSize`. */
  readonly imageSize: number;
  readonly patchSize: number;
  readonly width: number;
  /** Blocks that are run: `blocks.0` … `blocks.{depth − 1}`; the features are what the last of them gives. */
  readonly depth: number;
  readonly heads: number;
  readonly mlpWidth: number;
  readonly epsilon: number;
  /** Tokens before the patches: none, or `cls_token` [1,1,width] and then `reg_token` [1,prefixTokens − 1,width]. */
  readonly prefixTokens: number;
  /** `pos_embed` [1,(imageSize/patchSize)²,width] is added to the patches only (`no_embed_class`). */
  readonly positionOnPrefix: false;
  /** `ls1.<name>` and `ls2.<name>` [width] scale the two branches of a block; null: not scaled. */
  readonly layerScaleName: string | null;
  readonly activation: 'gelu' | 'gelu_tanh';
  /** Weight names that begin so belong to the tower and are not run: later blocks, final norm, pooling. */
  readonly unusedKeys: readonly string[];
}

/** Towers see the same picture, each in its own recipe; their features are concatenated on the channels. */
export type TowerConfig = ConvNextConfig | VitConfig;

/** An MLP with GELU (erf) between its layers. */
export interface ProjectorConfig {
  readonly kind: Contract['projector']['kind'];
  readonly keyPrefix: string;
  /** In order; `<key>.weight` [outputs, inputs] and `<key>.bias` [outputs]. */
  readonly layers: readonly ProjectorLayer[];
  /** Name of the token after every row, below the prefix; null: none. */
  readonly rowSeparator: string | null;
}

export interface ProjectorLayer {
  readonly key: string;
  readonly inputs: number;
  readonly outputs: number;
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
  /** In the contract's order; at least one. */
  readonly towers: readonly TowerConfig[];
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
  const width = vision.dims.at(-1)!;
  return {
    towers: [
      {
        kind: 'convnext',
        keyPrefix: layout.towers[0]!.keyPrefix,
        patchSize: vision.patch_size,
        widths: vision.dims,
        depths: vision.depths,
        epsilon: vision.layer_norm_eps,
      },
    ],
    projector: projectorConfig(layout.projector, width, decoder.hiddenSize),
    decoder,
    ignoredKeys: layout.ignoredKeys,
  };
}

/** Channels of a tower's features. */
export function towerWidth(tower: TowerConfig): number {
  return tower.kind === 'convnext' ? tower.widths.at(-1)! : tower.width;
}

/**
 * `mlp2x_gelu` is Magma's (`modeling_magma.py`, MagmaMultiModalProjector), `mlp3x_gelu` the one of OpenVLA's fused
 * backbone, whose first layer is four times as wide as the features (`modeling_prismatic.py`, PrismaticProjector).
 */
function projectorConfig(
  { kind, keyPrefix, rowSeparator }: CheckpointLayout['projector'],
  width: number,
  hiddenSize: number,
): ProjectorConfig {
  const { names, sizes } = {
    mlp2x_gelu: { names: ['proj.0', 'proj.2'], sizes: [width, hiddenSize, hiddenSize] },
    mlp3x_gelu: {
      names: ['fc1', 'fc2', 'fc3'],
      sizes: [width, 4 * width, hiddenSize, hiddenSize],
    },
  }[kind];
  const layers = names.map((name, i) => ({
    key: `${keyPrefix}${name}`,
    inputs: sizes[i]!,
    outputs: sizes[i + 1]!,
  }));
  return { kind, keyPrefix, layers, rowSeparator };
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
