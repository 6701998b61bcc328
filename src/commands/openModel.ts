/** A model folder as a policy for one robot: contract checked first, then graphs built or found, then warmed up. */
import { ModelClient } from '../model/client.js';
import { checkContract, sentenceOf } from '../model/check.js';
import { readContract } from '../model/contract.js';
import type { LoadProgress } from '../model/protocol.js';
import type { ProviderSetting } from '../model/session.js';
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
    },
    clock,
    ...(options.onProgress ? { onProgress: options.onProgress } : {}),
  });
}
