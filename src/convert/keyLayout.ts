/**
 * Every tensor of a checkpoint by key and shape: those that a configuration demands and those a public checkpoint holds
 * besides, in the order of the public modules' `state_dict` (timm `convnext.py`, `vision_transformer.py`; microsoft/Magma
 * `modeling_magma.py`; openvla/openvla `modeling_prismatic.py`; transformers `modeling_llama.py`): a module's own
 * parameters come before those of the modules in it.
 */
import { ModelError } from '../errors.js';
import type {
  CheckpointConfig,
  ConvNextConfig,
  DecoderConfig,
  ProjectorConfig,
  VitConfig,
} from './checkpointConfig.js';

export interface TensorSpec {
  readonly key: string;
  readonly shape: readonly number[];
}

/** What the graphs are built from. */
export function demandedTensors(config: CheckpointConfig): readonly TensorSpec[] {
  return everyTensor(config).filter(({ key }) => !isIgnored(key, config));
}

/** What may be there, is in the public checkpoints, and is not used. */
export function unusedTensors(config: CheckpointConfig): readonly TensorSpec[] {
  return everyTensor(config).filter(({ key }) => isIgnored(key, config));
}

/** Demanded and unused ones, in order. */
export function everyTensor(config: CheckpointConfig): readonly TensorSpec[] {
  return [
    ...config.towers.flatMap((tower) =>
      tower.kind === 'convnext' ? convNextTensors(tower, config.ignoredKeys) : vitTensors(tower),
    ),
    ...projectorTensors(config.projector),
    ...decoderTensors(config.decoder),
  ];
}

/**
 * That a checkpoint holds what the configuration demands and nothing unknown, before the first byte of it is converted.
 * @param found shape by key.
 * @throws ModelError that names the first few keys that are missing, misshapen or unknown, and counts the others.
 */
export function checkTensors(
  found: ReadonlyMap<string, readonly number[]>,
  config: CheckpointConfig,
  where: string,
): void {
  const demanded = demandedTensors(config);
  const known = new Set(demanded.map(({ key }) => key));
  const missing = demanded.filter(({ key }) => !found.has(key));
  const misshapen = demanded.filter(({ key, shape }) => {
    const got = found.get(key);
    return got !== undefined && show(got) !== show(shape);
  });
  const unknown = [...found.keys()].filter((key) => !known.has(key) && !isIgnored(key, config));
  const faults = [
    ...misshapen.map(
      ({ key, shape }) => `${key} ${show(found.get(key)!)} instead of ${show(shape)}`,
    ),
    ...missing.map(({ key, shape }) => `no ${key} ${show(shape)}`),
    ...unknown.map((key) => `${key}, which this architecture does not have`),
  ];
  if (faults.length === 0) return;
  const shown = faults.slice(0, 3).join('; ');
  const others = faults.length > 3 ? `; and ${faults.length - 3} more of such` : '';
  const expected = `the ${demanded.length} tensors that config.json and the contract demand`;
  throw new ModelError(where, `${shown}${others}`, expected);
}

function isIgnored(key: string, { ignoredKeys }: CheckpointConfig): boolean {
  return ignoredKeys.some((start) => key.startsWith(start));
}

function convNextTensors(
  { keyPrefix: p, patchSize, widths, depths }: ConvNextConfig,
  ignored: readonly string[],
): TensorSpec[] {
  const [first, last] = [widths[0]!, widths.at(-1)!];
  const stages = widths.flatMap((width, s) => {
    const stage = `${p}stages.${s}`;
    const before = widths[s - 1];
    const downsample =
      before === undefined
        ? []
        : [
            ...affine(`${stage}.downsample.0`, [before]),
            ...affine(`${stage}.downsample.1`, [width, before, 2, 2]),
          ];
    const blocks = Array.from({ length: depths[s]! }, (_, b) => `${stage}.blocks.${b}`);
    return [...downsample, ...blocks.flatMap((block) => convNextBlock(block, width))];
  });
  // timm's classifier head without its classifier, and open_clip's projection to the text's width, beside the trunk.
  const head = `${p.replace(/trunk\.$/, '')}head.proj.weight`;
  const unused = [
    ...affine(`${p}head.norm`, [last]),
    { key: head, shape: [Math.round(last / 3), last] },
  ];
  return [
    ...affine(`${p}stem.0`, [first, 3, patchSize, patchSize]),
    ...affine(`${p}stem.1`, [first]),
    ...stages,
    ...unused.filter(({ key }) => ignored.some((start) => key.startsWith(start))),
  ];
}

function convNextBlock(block: string, width: number): TensorSpec[] {
  return [
    { key: `${block}.gamma`, shape: [width] },
    ...affine(`${block}.conv_dw`, [width, 1, 7, 7]),
    ...affine(`${block}.norm`, [width]),
    ...affine(`${block}.mlp.fc1`, [4 * width, width]),
    ...affine(`${block}.mlp.fc2`, [width, 4 * width]),
  ];
}

function vitTensors(vit: VitConfig): TensorSpec[] {
  const { keyPrefix: p, imageSize, patchSize, width, depth, mlpWidth, prefixTokens } = vit;
  const has = (name: string) => vit.unusedKeys.includes(`${p}${name}`);
  const later = has(`blocks.${depth}.`) ? 1 : 0;
  const blocks = Array.from({ length: depth + later }, (_, b) => `${p}blocks.${b}`);
  const pool = `${p}attn_pool`;
  return [
    ...(prefixTokens > 0 ? [{ key: `${p}cls_token`, shape: [1, 1, width] }] : []),
    ...(prefixTokens > 1 ? [{ key: `${p}reg_token`, shape: [1, prefixTokens - 1, width] }] : []),
    { key: `${p}pos_embed`, shape: [1, (imageSize / patchSize) ** 2, width] },
    ...affine(`${p}patch_embed.proj`, [width, 3, patchSize, patchSize]),
    ...blocks.flatMap((block) => vitBlock(block, vit)),
    ...(has('norm.') ? affine(`${p}norm`, [width]) : []),
    ...(has('attn_pool.')
      ? [
          { key: `${pool}.latent`, shape: [1, 1, width] },
          ...affine(`${pool}.q`, [width, width]),
          ...affine(`${pool}.kv`, [2 * width, width]),
          ...affine(`${pool}.proj`, [width, width]),
          ...affine(`${pool}.norm`, [width]),
          ...affine(`${pool}.mlp.fc1`, [mlpWidth, width]),
          ...affine(`${pool}.mlp.fc2`, [width, mlpWidth]),
        ]
      : []),
  ];
}

function vitBlock(block: string, { width, mlpWidth, layerScaleName }: VitConfig): TensorSpec[] {
  const scale = (name: string): TensorSpec[] =>
    layerScaleName === null ? [] : [{ key: `${block}.${name}.${layerScaleName}`, shape: [width] }];
  return [
    ...affine(`${block}.norm1`, [width]),
    ...affine(`${block}.attn.qkv`, [3 * width, width]),
    ...affine(`${block}.attn.proj`, [width, width]),
    ...scale('ls1'),
    ...affine(`${block}.norm2`, [width]),
    ...affine(`${block}.mlp.fc1`, [mlpWidth, width]),
    ...affine(`${block}.mlp.fc2`, [width, mlpWidth]),
    ...scale('ls2'),
  ];
}

function projectorTensors({ keyPrefix, layers, rowSeparator }: ProjectorConfig): TensorSpec[] {
  const width = layers.at(-1)!.outputs;
  return [
    ...(rowSeparator === null
      ? []
      : [{ key: `${keyPrefix}${rowSeparator}`, shape: [1, 1, width] }]),
    ...layers.flatMap(({ key, inputs, outputs }) => affine(key, [outputs, inputs])),
  ];
}

function decoderTensors(decoder: DecoderConfig): TensorSpec[] {
  const { keyPrefix: p, layers, hiddenSize: d, intermediateSize, vocabulary } = decoder;
  const queries = decoder.heads * decoder.headDim;
  const keys = decoder.keyValueHeads * decoder.headDim;
  const weight = (name: string, ...shape: number[]) => ({ key: `${p}${name}.weight`, shape });
  return [
    weight('model.embed_tokens', vocabulary, d),
    ...Array.from({ length: layers }, (_, l) => `model.layers.${l}`).flatMap((layer) => [
      weight(`${layer}.self_attn.q_proj`, queries, d),
      weight(`${layer}.self_attn.k_proj`, keys, d),
      weight(`${layer}.self_attn.v_proj`, keys, d),
      weight(`${layer}.self_attn.o_proj`, d, queries),
      weight(`${layer}.mlp.gate_proj`, intermediateSize, d),
      weight(`${layer}.mlp.up_proj`, intermediateSize, d),
      weight(`${layer}.mlp.down_proj`, d, intermediateSize),
      weight(`${layer}.input_layernorm`, d),
      weight(`${layer}.post_attention_layernorm`, d),
    ]),
    weight('model.norm', d),
    weight('lm_head', vocabulary, d),
  ];
}

/** `weight` of this shape, and a `bias` of its first extent. */
function affine(name: string, shape: readonly number[]): TensorSpec[] {
  return [
    { key: `${name}.weight`, shape },
    { key: `${name}.bias`, shape: [shape[0]!] },
  ];
}

function show(shape: readonly number[]): string {
  return `[${shape.join(', ')}]`;
}
