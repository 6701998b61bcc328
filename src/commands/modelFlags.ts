/** The options that every command with a model has, and what they open. */
import { resolve } from 'node:path';
import type { Config } from '../config.js';
import type { ModelClient } from '../model/client.js';
import type { ProviderSetting } from '../model/session.js';
import { realClock } from './clock.js';
import { loadProgress, seconds } from './loadProgress.js';
import { openModel } from './openModel.js';

export interface ModelFlags {
  readonly model: string;
  readonly provider: ProviderSetting;
  readonly threads: number;
  readonly allowMismatch?: true;
  readonly statistics?: string;
}

/** Opens the model, telling what is loaded and chosen. @throws ConfigError, MismatchError, ModelError */
export async function openFromFlags(
  flags: ModelFlags,
  config: Config,
  {
    cache,
    say,
    onMismatch,
  }: {
    readonly cache: string;
    readonly say: (line: string) => void;
    readonly onMismatch: (sentence: string) => void;
  },
): Promise<ModelClient> {
  const folder = resolve(flags.model);
  const client = await openModel({
    folder,
    cache,
    config,
    clock: realClock,
    provider: flags.provider,
    threads: flags.threads,
    statistics: flags.statistics,
    mismatch: flags.allowMismatch ? 'allow' : 'refuse',
    onProgress: loadProgress(say),
    onMismatch: (sentence) => {
      say(`warning: ${sentence} (allowed)`);
      onMismatch(sentence);
    },
  });
  const { provider, decoding, graphs, loadMs, warmUpMs } = client.facts;
  say(
    `model ${client.name}: ${provider.provider} (${provider.reason}), decoding by ${decoding.kind} (${decoding.reason}),`,
  );
  say(
    `  graphs ${{ converted: 'converted', cache: 'from the cache', built: `built into ${cache}` }[graphs]}, loaded in ${seconds(loadMs)}, warmed up in ${seconds(warmUpMs)}`,
  );
  return client;
}
