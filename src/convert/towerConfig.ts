/**
 * What config.json says about the towers → TowerConfig. The public checkpoints name a backbone and leave its sizes to the
 * library that builds it, so those are tables here; a name that is not in them is refused, never taken for another.
 */
import { z } from 'zod';
import { ModelError } from '../errors.js';
import type {
  CheckpointLayout,
  ConvNextConfig,
  TowerConfig,
  VitConfig,
} from './checkpointConfig.js';
import { parseSection } from './parseSection.js';

const size = z.int().positive();

/** Sizes in words of ours, as small checkpoints have them. */
const convNextSizes = z.object({
  /** Side and stride of the stem's patches, pixels. */
  patch_size: size,
  dims: z.array(size).min(1),
  depths: z.array(size.max(1000)).min(1),
  layer_norm_eps: z.number().positive(),
  kernel_size: z.literal(7).default(7),
  mlp_ratio: z.literal(4).default(4),
});

/** `vision_config` of a Magma checkpoint (microsoft/Magma `configuration_magma.py`, `image_tower_magma.py`). */
export const convNextVision = z.looseObject({
  vision_backbone: z.string().optional(),
  vision_feature_layer: z.literal('clip_vis_dense').optional(),
  mm_hidden_size: size.optional(),
});

/**
 * By `vision_backbone`. convnextxxlarge: open_clip's `CLIP-convnext_xxlarge-laion2B-s34B-b82K-augreg`, whose trunk is
 * timm's `convnext_xxlarge` (`convnext.py`: depths, dims, norm_eps 1e-5; patch stem of 4).
 */
const backbones: Readonly<Record<string, z.infer<typeof convNextSizes>>> = {
  convnextxxlarge: {
    patch_size: 4,
    dims: [384, 768, 1536, 3072],
    depths: [3, 4, 30, 3],
    layer_norm_eps: 1e-5,
    kernel_size: 7,
    mlp_ratio: 4,
  },
};

/** Keyword arguments of timm.create_model that a small checkpoint has instead of those the name stands for. */
const vitArguments = z.strictObject({
  patch_size: size.optional(),
  embed_dim: size.optional(),
  depth: z.int().min(2).max(1000).optional(),
  num_heads: size.optional(),
  mlp_ratio: z.number().positive().optional(),
});

/** The vision keys of an OpenVLA checkpoint (openvla/openvla `configuration_prismatic.py`), one entry per tower. */
export const vitVision = z.looseObject({
  timm_model_ids: z.array(z.string()),
  image_sizes: z.array(size),
  timm_override_act_layers: z.array(z.null()).optional(),
  /** Of small checkpoints only; the public ones do not have it. */
  timm_model_args: z.array(vitArguments).optional(),
});

interface TimmVit {
  readonly kind: 'dinov2' | 'siglip';
  readonly patch_size: number;
  readonly embed_dim: number;
  readonly depth: number;
  readonly num_heads: number;
  readonly mlp_ratio: number;
  /** Class and register tokens, without a position (`no_embed_class`). */
  readonly prefixTokens: number;
  readonly hasLayerScale: boolean;
  /** Modules after the blocks: never run, but in the checkpoint. */
  readonly after: readonly string[];
}

/** By `timm_model_ids` (timm 0.9.10 `vision_transformer.py`; norm eps 1e-6 and GELU (erf) are its defaults). */
const timmVits: Readonly<Record<string, TimmVit>> = {
  'vit_large_patch14_reg4_dinov2.lvd142m': {
    kind: 'dinov2',
    patch_size: 14,
    embed_dim: 1024,
    depth: 24,
    num_heads: 16,
    mlp_ratio: 4,
    prefixTokens: 5,
    hasLayerScale: true,
    after: ['norm.'],
  },
  vit_so400m_patch14_siglip_224: {
    kind: 'siglip',
    patch_size: 14,
    embed_dim: 1152,
    depth: 27,
    num_heads: 16,
    mlp_ratio: 3.7362,
    prefixTokens: 0,
    hasLayerScale: false,
    after: ['norm.', 'attn_pool.'],
  },
};

type Layout = CheckpointLayout['towers'];

/** @throws ModelError naming the key, what was got and what was expected. */
export function towerConfigs(
  raw: Readonly<Record<string, unknown>>,
  layout: Layout,
  where: string,
): readonly TowerConfig[] {
  const kinds = layout.map(({ kind }) => kind);
  if (kinds.join() === 'convnext') return [convNext(raw, layout[0]!.keyPrefix, where)];
  if (kinds.every((kind) => kind !== 'convnext')) return vits(raw, layout, where);
  throw new ModelError(
    `${where}: towers`,
    kinds.join(', '),
    'one convnext, or vision transformers',
  );
}

function convNext(
  raw: Readonly<Record<string, unknown>>,
  keyPrefix: string,
  where: string,
): ConvNextConfig {
  const at = `${where}: vision_config`;
  const vision = parseSection(convNextVision, raw['vision_config'], where, ['vision_config']);
  const sizes =
    vision['dims'] === undefined
      ? backbone(vision.vision_backbone, `${at}.vision_backbone`)
      : parseSection(convNextSizes, vision, where, ['vision_config']);
  if (sizes.dims.length !== sizes.depths.length) {
    const got = `${sizes.depths.length} depths for ${sizes.dims.length} dims`;
    throw new ModelError(`${at}.depths`, got, 'one depth per stage');
  }
  const width = sizes.dims.at(-1)!;
  if (vision.mm_hidden_size !== undefined && vision.mm_hidden_size !== width) {
    throw new ModelError(
      `${at}.mm_hidden_size`,
      show(vision.mm_hidden_size),
      `${width}, the last stage's`,
    );
  }
  return {
    kind: 'convnext',
    keyPrefix,
    patchSize: sizes.patch_size,
    widths: sizes.dims,
    depths: sizes.depths,
    epsilon: sizes.layer_norm_eps,
  };
}

function backbone(name: string | undefined, where: string): z.infer<typeof convNextSizes> {
  if (name !== undefined && Object.hasOwn(backbones, name)) return backbones[name]!;
  const known = Object.keys(backbones).join(' | ');
  const expected = `${known}, or patch_size, dims, depths and layer_norm_eps`;
  throw new ModelError(where, show(name), expected);
}

function vits(
  raw: Readonly<Record<string, unknown>>,
  layout: Layout,
  where: string,
): readonly VitConfig[] {
  const { timm_model_ids: ids, ...vision } = parseSection(vitVision, raw, where);
  const lists = {
    timm_model_ids: ids,
    image_sizes: vision.image_sizes,
    timm_override_act_layers: vision.timm_override_act_layers,
    timm_model_args: vision.timm_model_args,
  };
  for (const [key, list] of Object.entries(lists)) {
    if (list === undefined || list.length === layout.length) continue;
    throw new ModelError(
      `${where}: ${key}`,
      `${list.length} entries`,
      `${layout.length}, one per tower`,
    );
  }
  return layout.map((tower, i) => {
    const known = timmVit(ids[i]!, `${where}: timm_model_ids.${i}`);
    if (known.kind !== tower.kind) {
      throw new ModelError(`${where}: timm_model_ids.${i}`, show(ids[i]), `a ${tower.kind} tower`);
    }
    const sizes = { ...known, ...definedOf(vision.timm_model_args?.[i] ?? {}) };
    return vit(sizes, vision.image_sizes[i]!, tower.keyPrefix, `${where}: tower ${i}`);
  });
}

/** The kind of tower that timm builds under this name. @throws ModelError on a name that is not in the table. */
export function timmVit(id: string, where: string): TimmVit {
  if (Object.hasOwn(timmVits, id)) return timmVits[id]!;
  throw new ModelError(where, show(id), Object.keys(timmVits).join(' | '));
}

/** Features: the patch tokens of the second-to-last block (`modeling_prismatic.py`, PrismaticVisionBackbone). */
function vit(sizes: TimmVit, imageSize: number, keyPrefix: string, where: string): VitConfig {
  if (imageSize % sizes.patch_size !== 0) {
    const expected = `a multiple of the patch size ${sizes.patch_size}`;
    throw new ModelError(`${where}: image size`, String(imageSize), expected);
  }
  if (sizes.embed_dim % sizes.num_heads !== 0) {
    const got = `${sizes.num_heads} heads for a width of ${sizes.embed_dim}`;
    throw new ModelError(where, got, 'a divisor of the width');
  }
  const depth = sizes.depth - 1;
  return {
    kind: 'vit',
    keyPrefix,
    imageSize,
    patchSize: sizes.patch_size,
    width: sizes.embed_dim,
    depth,
    heads: sizes.num_heads,
    mlpWidth: Math.floor(sizes.embed_dim * sizes.mlp_ratio),
    epsilon: 1e-6,
    prefixTokens: sizes.prefixTokens,
    positionOnPrefix: false,
    layerScaleName: sizes.hasLayerScale ? 'scale_factor' : null,
    activation: 'gelu',
    unusedKeys: [`blocks.${depth}.`, ...sizes.after].map((name) => `${keyPrefix}${name}`),
  };
}

/** Without the keys whose value is undefined. */
function definedOf<T extends object>(value: T): Partial<{ [K in keyof T]: NonNullable<T[K]> }> {
  const entries = Object.entries(value).filter(([, entry]) => entry !== undefined);
  return Object.fromEntries(entries) as Partial<{ [K in keyof T]: NonNullable<T[K]> }>;
}

function show(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 80);
}
