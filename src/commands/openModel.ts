/** A model folder as a policy for one robot: contract checked first, then graphs built or found, then warmed up. */
import { ModelClient } from '../model/client.js';
import { checkContract, sentenceOf } from '../model/check.js';
import { type ActionDecoding, actionDecodingFor } from '../model/actionUnits.js';
import { readContract } from '../model/contract.js';
import type { LoadProgress, ModelFacts } from '../model/protocol.js';
import type { ProviderSetting } from '../model/session.js';
import { readTokenizer } from '../model/tokenizer.js';
import type { Clock } from '../control/clock.js';
import type { Config } from '../config.js';
import { MismatchError } from '../errors.js';

export interface OpenModelOptions {
  readonly folder: string;
  readonly cache: string;
  readonly config: Config;
  readonly clock: Clock;
  readonly provider: ProviderSetting;
  readonly threads: number;
  /** Which of the model's action statistics; without it the robot's own, or the contract's default. */
  readonly statistics?: string | undefined;
  /** Drive a robot the model was not trained for. What the model needs and the robot lacks is refused all the same. */
  readonly mismatch: 'refuse' | 'allow';
  readonly onProgress?: (progress: LoadProgress) => void;
  /** Told once per mismatch that was allowed. */
  readonly onMismatch?: (sentence: string) => void;
}

/** @throws MismatchError, ModelError, ConfigError */
export async function openModel(options: OpenModelOptions): Promise<ModelClient> {
  const { folder, cache, config, clock, provider, threads } = options;
  const contract = readContract(folder);
  for (const mismatch of checkContract(contract, config)) {
    if (mismatch.severity === 'impossible' || options.mismatch === 'refuse') {
      const { where, got, expected } = mismatch;
      throw new MismatchError(where, got, expected);
    }
    options.onMismatch?.(sentenceOf(mismatch));
  }
  const cameras = Object.fromEntries(
    Object.entries(config.cameras).flatMap(([name, { modelKey }]) =>
      modelKey ? [[name, modelKey]] : [],
    ),
  );
  return ModelClient.open({
    settings: {
      folder,
      cache,
      robot: { robot: config.robot, baseFrame: config.baseFrame },
      cameras,
      provider,
      threads,
      sliceTokens: 16,
      ...(options.statistics === undefined ? {} : { statistics: options.statistics }),
    },
    clock,
    ...(options.onProgress ? { onProgress: options.onProgress } : {}),
  });
}

/** What the same pictures and questions need to give the same predictions, to the last bit. */
export interface ModelIdentity {
  readonly sha256: ModelFacts['sha256'];
  readonly provider: ModelFacts['provider']['provider'];
  readonly decoding: ModelFacts['decoding']['kind'];
}

export function modelIdentity({ sha256, provider, decoding }: ModelFacts): ModelIdentity {
  return { sha256, provider: provider.provider, decoding: decoding.kind };
}

export interface ModelWords {
  /** Action values ↔ ids, with the statistics the model uses on this robot. */
  readonly decoding: ActionDecoding;
  /** The camera whose pictures get marks; null where the model answers no traces or no camera feeds them. */
  readonly traceCamera: string | null;
}

/** What a model's answers mean on a robot, without its weights. @throws ModelError, InputError */
export function readModelWords(folder: string, config: Config, statistics?: string): ModelWords {
  const contract = readContract(folder);
  const endId = readTokenizer(folder).idOf(contract.tokens.eos);
  const { trace } = contract.answers;
  const camera = Object.entries(config.cameras).find(
    ([, { modelKey }]) => modelKey !== undefined && modelKey === trace?.camera,
  );
  return {
    decoding: actionDecodingFor(contract, config, endId, statistics),
    traceCamera: camera?.[0] ?? null,
  };
}
