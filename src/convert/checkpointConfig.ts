/**
 * config.json of a checkpoint (sizes) and the parts of its contract that say how its weights are named → what the
 * graphs are built from. Keys of config.json that say nothing about the arithmetic are ignored; values that would
 * change it are refused, never assumed.
 */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { ModelError } from '../errors.js';
import type { Contract } from '../model/contract.js';
import { decoderConfig, textConfig } from './textConfig.js';
import { parseSection } from './parseSection.js';
import { towerConfigs } from './towerConfig.js';

/** Of the whole file; the towers' keys lie beside these two, or in `vision_config`. */
const config = z.looseObject({
  text_config: textConfig,
  /** Weights that another program has packed: there is nothing here to unpack them. */
  quantization_config: z.null().optional(),
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
  const raw = parseSection(config, parseJson(text, where), where);
  const decoder = decoderConfig(raw.text_config, layout.decoder.keyPrefix, where);
  const towers = towerConfigs(raw, layout.towers, where);
  checkProjector(raw, layout.projector, where);
  const width = towers.reduce((sum, tower) => sum + towerWidth(tower), 0);
  const unused = towers.flatMap((tower) => (tower.kind === 'vit' ? tower.unusedKeys : []));
  return {
    towers,
    projector: projectorConfig(layout.projector, width, decoder.hiddenSize),
    decoder,
    ignoredKeys: [...layout.ignoredKeys, ...unused],
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

const magmaProjector = z.looseObject({
  mm_projector_type: z.string().optional(),
  mm_use_row_seperator: z.boolean().optional(),
});

/** That what a Magma's config.json says about the projector is what its contract says. */
function checkProjector(
  raw: Readonly<Record<string, unknown>>,
  { kind, rowSeparator }: CheckpointLayout['projector'],
  where: string,
): void {
  const section = raw['vision_config'] ?? {};
  const vision = parseSection(magmaProjector, section, where, ['vision_config']);
  const { mm_projector_type: type, mm_use_row_seperator: separated } = vision;
  const at = `${where}: vision_config`;
  // Before its release microsoft/Magma called the same layers mlp2x_gelu_segtokv2.
  if (type !== undefined && type.replace(/_segtokv\d+$/, '') !== kind) {
    throw new ModelError(`${at}.mm_projector_type`, `"${type}"`, kind);
  }
  const expected = rowSeparator !== null;
  if (separated !== undefined && separated !== expected) {
    const why = `${expected}, as the contract's projector.rowSeparator says`;
    throw new ModelError(`${at}.mm_use_row_seperator`, String(separated), why);
  }
}

function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ModelError(where, (error as Error).message, 'JSON');
  }
}
