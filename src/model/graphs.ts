/**
 * The boundary of the ONNX graphs: file names, the names and shapes of their inputs and outputs, and the manifest
 * that lies beside them. convert/ writes to it, session and generation read from it; neither knows the other.
 *
 * vision.onnx   pixels f32 [N,3·towers,H,W], every tower's r, g, b in turn; grid i64 [2] (rows, columns of crops,
 *               N = rows·columns) → visual f32 [T,d]. B pictures of R×C crops, one after the other, are a picture of
 *               B·R×C crops: the tokens of each stay together, and in order.
 * step.onnx     ids i64 [S], visual f32 [T,d], visualPositions i64 [T,1], pastKey/pastValue kv [1,kvHeads,P,headDim] per layer,
 *               lastPosition i32 [1] = P+S−1, totalLength i32 [] = P+S
 *               → logits f32 [1,V] of the last position, presentKey/presentValue [1,kvHeads,P+S,headDim] per layer.
 *               Row k of `visual` takes the place of the embedding of ids[visualPositions[k]]; kv: keyValueType.
 * decode.onnx   the inputs of step, and maxTokens i64 [], eos i64 [E] (E ≥ 1), actionRange i64 [2] (first, end)
 *               → tokens i64 [n], logProbabilities f32 [n], actionMass f32 [n], 1 ≤ n ≤ maxTokens, greedy, ending
 *               with the first end-of-sequence token; present of P+S+n−1 positions: all but the last token's.
 */
import { z } from 'zod';

export const graphFiles = {
  manifest: 'graphs.json',
  vision: 'vision.onnx',
  visionWeights: 'vision.weights',
  step: 'step.onnx',
  decode: 'decode.onnx',
  /** Shared by step and decode. */
  decoderWeights: 'decoder.weights',
} as const;

export const ports = {
  pixels: 'pixels',
  grid: 'grid',
  visual: 'visual',
  visualPositions: 'visualPositions',
  ids: 'ids',
  lastPosition: 'lastPosition',
  totalLength: 'totalLength',
  logits: 'logits',
  maxTokens: 'maxTokens',
  eos: 'eos',
  actionRange: 'actionRange',
  tokens: 'tokens',
  logProbabilities: 'logProbabilities',
  actionMass: 'actionMass',
  pastKey: (layer: number) => `pastKey.${layer}`,
  pastValue: (layer: number) => `pastValue.${layer}`,
  presentKey: (layer: number) => `presentKey.${layer}`,
  presentValue: (layer: number) => `presentValue.${layer}`,
} as const;

const size = z.int().positive();

export const graphManifestSchema = z.strictObject({
  /** Version of the builder that wrote the graphs. */
  builder: z.string(),
  /** Lower-case hex; over configuration and weights. */
  sha256: z.string(),
  decoder: z.strictObject({
    layers: size,
    hiddenSize: size,
    keyValueHeads: size,
    headDim: size,
    vocabulary: size,
    maxPositions: size,
    /** Element type of the key/value cache, and of what is computed between its reading and its growing. */
    keyValueType: z.enum(['float32', 'float16']),
    /** How linear layers are stored. Two providers agree the less closely, the coarser. */
    weights: z.enum(['fp32', 'fp16', 'int8', 'int4']),
  }),
  vision: z.strictObject({
    /** Pixels of a crop per visual token along each axis: height and width must be multiples of it. */
    stride: size,
    /** How many towers see every crop. */
    towers: size,
    /** The only height and width a crop may have, px; null: any. */
    cropSize: size.nullable(),
  }),
  /** Size of every file in bytes: a cache whose files differ is built again. */
  files: z.record(z.string(), z.int().nonnegative()),
});

export type GraphManifest = z.infer<typeof graphManifestSchema>;
