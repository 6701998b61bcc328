/** A folder of graphs → vision encoder and generator, ready to run. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ModelError } from '../errors.js';
import { openGenerator, type TokenGenerator } from './generation.js';
import { graphFiles, graphManifestSchema, type GraphManifest } from './graphs.js';
import { parseJson } from './parseJson.js';
import {
  assertComputes,
  chooseProvider,
  proveProvider,
  type ProviderChoice,
  type ProviderSetting,
  type SessionSettings,
} from './session.js';
import { openVision, type VisionEncoder } from './vision.js';
import { assertSeesAsCpu } from './visionCheck.js';

export interface Runtime {
  readonly manifest: GraphManifest;
  readonly provider: ProviderChoice;
  readonly vision: VisionEncoder;
  readonly generator: TokenGenerator;
  release(): Promise<void>;
}

/** Blocks its thread while sessions are created. @throws ModelError, ConfigError on a strange manifest. */
export async function openRuntime(folder: string, settings: SessionSettings): Promise<Runtime> {
  const manifest = readGraphManifest(folder);
  const provider = chooseProvider(settings.provider);
  assertComputes(provider, manifest.decoder.keyValueType);
  const vision = await openVision(folder, manifest, provider, settings.threads);
  let generator: TokenGenerator;
  try {
    if (provider.provider !== 'cpu') {
      await assertSeesAsCpu(vision, folder, manifest, provider, settings.threads);
    }
    generator = await openGenerator(folder, manifest, provider, settings.threads);
  } catch (error) {
    await vision.release();
    throw error;
  }
  return {
    manifest,
    provider,
    vision,
    generator,
    release: async () => {
      await vision.release();
      await generator.release();
    },
  };
}

/**
 * What `openRuntime` would find wrong with a provider, before anything large is built or read.
 * @param folder of converted graphs; where none are, they would be built in fp32. @throws ModelError with what to do.
 */
export async function checkProvider(folder: string, setting: ProviderSetting): Promise<void> {
  const isConverted = existsSync(join(folder, graphFiles.manifest));
  const compute = isConverted ? readGraphManifest(folder).decoder.keyValueType : 'float32';
  await proveProvider(chooseProvider(setting), compute);
}

/** @throws ModelError where there is none, ConfigError where it is not one. */
export function readGraphManifest(folder: string): GraphManifest {
  const path = join(folder, graphFiles.manifest);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ModelError(path, (error as Error).message, 'the manifest of converted graphs');
  }
  return parseJson(graphManifestSchema, text, path);
}
