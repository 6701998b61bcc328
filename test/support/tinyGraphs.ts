/** The tiny Magma of tinyMagma.ts as graphs in any format. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openCheckpoint } from '../../src/convert/checkpoint.js';
import { readCheckpointConfig } from '../../src/convert/checkpointConfig.js';
import { planGraphs } from '../../src/convert/graphPlan.js';
import { runJob } from '../../src/convert/tensorJob.js';
import { plainFormat, type WeightFormat } from '../../src/convert/weightStore.js';
import { graphFiles } from '../../src/model/graphs.js';
import { magmaLayout, tinyMagmaFolder } from './tinyMagma.js';

/** Into a folder that is there and empty. */
export function writeTinyMagma(folder: string, format: Partial<WeightFormat>): void {
  const config = readCheckpointConfig(join(tinyMagmaFolder, 'config.json'), magmaLayout);
  const checkpoint = openCheckpoint(tinyMagmaFolder);
  const plan = planGraphs(config, checkpoint, folder, { ...plainFormat, ...format });
  try {
    [...plan.jobs.vision, ...plan.jobs.decoder].forEach(runJob);
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
