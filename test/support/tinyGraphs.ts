/** The tiny Magma of tinyMagma.ts as graphs in any format. */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openCheckpoint } from '../../src/convert/checkpoint.js';
import { readCheckpointConfig } from '../../src/convert/checkpointConfig.js';
import { planGraphs } from '../../src/convert/graphPlan.js';
import {
  openSafetensors,
  writeSafetensors,
  type RawTensor,
} from '../../src/convert/safetensors.js';
import { Scratch } from '../../src/convert/scratch.js';
import { runJob } from '../../src/convert/tensorJob.js';
import { plainFormat, type WeightFormat } from '../../src/convert/weightStore.js';
import { graphFiles } from '../../src/model/graphs.js';
import { magmaLayout, tinyMagmaFolder } from './tinyMagma.js';

/** The same weights as bfloat16, as Magma-8B has them: a folder to convert. */
export function writeTinyBfloat16(folder: string): string {
  mkdirSync(folder);
  copyFileSync(join(tinyMagmaFolder, 'config.json'), join(folder, 'config.json'));
  const file = openSafetensors(join(tinyMagmaFolder, 'model.safetensors'));
  const tensors = new Map<string, RawTensor>();
  for (const [name, { shape }] of file.entries) {
    const words = new Uint32Array(file.readFloat32(name).buffer);
    const data = new Uint8Array(Uint16Array.from(words, (word) => word >>> 16).buffer);
    tensors.set(name, { dtype: 'BF16', shape, data });
  }
  file.close();
  writeSafetensors(join(folder, 'model.safetensors'), tensors);
  return folder;
}

/** Into a folder that is there and empty. */
export function writeTinyMagma(
  folder: string,
  format: Partial<WeightFormat>,
  model: string = tinyMagmaFolder,
): void {
  const config = readCheckpointConfig(join(model, 'config.json'), magmaLayout);
  const checkpoint = openCheckpoint(model);
  const plan = planGraphs(config, checkpoint, folder, { ...plainFormat, ...format });
  try {
    const scratch = new Scratch();
    for (const job of [...plan.jobs.vision, ...plan.jobs.decoder]) runJob(job, scratch);
    for (const [name, bytes] of Object.entries(plan.graphs)) {
      writeFileSync(join(folder, name), bytes);
    }
    const manifest = plan.manifest(JSON.stringify(format));
    writeFileSync(join(folder, graphFiles.manifest), JSON.stringify(manifest));
  } finally {
    plan.close();
    checkpoint.close();
  }
}
