/**
 * What one answer must do at the least, from the sizes alone: multiplications and additions of vision and prompt, and the bytes
 * that every further token has to fetch. With what the machine was measured to do, they say how fast it could be.
 */
import type {
  CheckpointConfig,
  ConvNextConfig,
  DecoderConfig,
  TowerConfig,
  VitConfig,
} from '../convert/checkpointConfig.js';
import { graphFiles, type GraphManifest } from '../model/graphs.js';

export interface AnswerSizes {
  /** Square crops of one picture, and their side, px. */
  readonly crops: number;
  readonly cropSize: number;
  /** Visual tokens of the picture. */
  readonly visualTokens: number;
  /** Positions of the prompt, pictures included. */
  readonly positions: number;
}

export interface AnswerCost {
  /** Floating-point operations, two per multiply-add. */
  readonly visionFlop: number;
  readonly promptFlop: number;
  /** Read from memory for each further token: weights once, and the cache. */
  readonly tokenBytes: number;
}

export function answerCost(
  { towers, projector, decoder }: CheckpointConfig,
  { decoder: sizes, files }: GraphManifest,
  { crops, cropSize, visualTokens, positions }: AnswerSizes,
): AnswerCost {
  const towerMacs = towers.reduce((sum, tower) => sum + macsOf(tower, cropSize), 0);
  const projectorMacs = projector.layers.reduce((sum, l) => sum + l.inputs * l.outputs, 0);
  const head = decoder.hiddenSize * decoder.vocabulary;
  const number = sizes.keyValueType === 'float16' ? 2 : 4;
  const cacheWidth = 2 * decoder.layers * decoder.keyValueHeads * decoder.headDim;
  // The file holds, besides what every token reads, the embeddings of all ids and the angles of all positions.
  const table = head * (sizes.weights === 'fp32' ? 4 : 2);
  const angles = decoder.maxPositions * decoder.headDim * number;
  return {
    visionFlop: 2 * (crops * towerMacs + visualTokens * projectorMacs),
    promptFlop: 2 * (positions * layerMacs(decoder) + attentionMacs(decoder, positions) + head),
    tokenBytes:
      files[graphFiles.decoderWeights]! - table - angles + cacheWidth * number * positions,
  };
}

function layerMacs({ layers, hiddenSize: d, ...decoder }: DecoderConfig): number {
  const queries = decoder.heads * decoder.headDim;
  const keys = decoder.keyValueHeads * decoder.headDim;
  return layers * (d * (queries + 2 * keys) + queries * d + 3 * d * decoder.intermediateSize);
}

/** Scores and their sums over the positions before: half of positions², twice. */
function attentionMacs({ layers, heads, headDim }: DecoderConfig, positions: number): number {
  return layers * heads * headDim * positions * positions;
}

const macsOf = (tower: TowerConfig, cropSize: number): number =>
  tower.kind === 'convnext' ? convNextMacs(tower, cropSize) : vitMacs(tower);

/** Of one square crop. */
function convNextMacs({ patchSize, widths, depths }: ConvNextConfig, cropSize: number): number {
  return widths.reduce((sum, width, stage) => {
    const cells = (cropSize / (patchSize * 2 ** stage)) ** 2;
    const before = stage === 0 ? 3 * patchSize ** 2 : 4 * widths[stage - 1]!;
    // Depthwise 7×7, then to four times the width and back.
    const block = 49 * width + 8 * width ** 2;
    return sum + cells * (before * width + depths[stage]! * block);
  }, 0);
}

function vitMacs({
  imageSize,
  patchSize,
  width,
  depth,
  mlpWidth,
  prefixTokens,
}: VitConfig): number {
  const patches = (imageSize / patchSize) ** 2;
  const tokens = patches + prefixTokens;
  const block = tokens * (4 * width ** 2 + 2 * width * mlpWidth) + 2 * tokens ** 2 * width;
  return patches * 3 * patchSize ** 2 * width + depth * block;
}
