/** A tiny checkpoint of test/golden through the whole `convert` command, opened as a node would open it. */
import { join } from 'node:path';
import { convert, type ConvertFlags } from '../../src/commands/convert.js';
import { graphsFolder } from '../../src/convert/build.js';
import { readContract, type Contract } from '../../src/model/contract.js';
import { loopDecoding, stepDecoding, type Decoding } from '../../src/model/decoding.js';
import { graphFiles } from '../../src/model/graphs.js';
import { openRuntime, type Runtime } from '../../src/model/runtime.js';
import { chooseProvider, openSession, type Session } from '../../src/model/session.js';
import { readTokenizer, type Tokenizer } from '../../src/model/tokenizer.js';

export interface ReferenceModel {
  /** The model folder. */
  readonly folder: string;
  readonly contract: Contract;
  readonly tokenizer: Tokenizer;
  readonly runtime: Runtime;
  readonly step: Session;
  /** Both ways to decode, whichever the runtime chose. */
  readonly decodings: readonly Decoding[];
  release(): Promise<void>;
}

export type ReferenceFormat = Pick<ConvertFlags, 'weights' | 'compute'>;

/** @param format fp32 unless given: what is compared then is arithmetic, not rounding. */
export async function convertReference(
  source: string,
  out: string,
  flags: Pick<ConvertFlags, 'statistics' | 'unnormKey'>,
  format: ReferenceFormat = { weights: 'fp32' },
): Promise<ReferenceModel> {
  const packing = { block: 32, accuracyLevel: 0 } as const;
  await convert(source, { out, ...packing, ...format, ...flags }, { onProgress: () => undefined });
  const graphs = join(out, graphsFolder);
  const runtime = await openRuntime(graphs, { provider: 'cpu', threads: 1 });
  const cpu = chooseProvider('cpu');
  const step = await openSession(join(graphs, graphFiles.step), cpu, 1);
  const loop = await openSession(join(graphs, graphFiles.decode), cpu, 1);
  const { decoder } = runtime.manifest;
  return {
    folder: out,
    contract: readContract(out),
    tokenizer: readTokenizer(out),
    runtime,
    step,
    decodings: [stepDecoding(step, decoder), loopDecoding(loop, decoder)],
    release: async () => {
      await runtime.release();
      await step.release();
      await loop.release();
    },
  };
}
