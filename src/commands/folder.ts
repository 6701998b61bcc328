import { mkdir } from 'node:fs/promises';
import { ConfigError } from '../errors.js';

/** Makes an output folder. @throws ConfigError where that cannot be. */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new ConfigError(
      '--out',
      `${folder} (${code})`,
      'a folder, or a path where one can be made',
    );
  }
}
