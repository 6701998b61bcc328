import { z } from 'zod';
import { ConfigError } from '../errors.js';
import { parseJson } from './parseJson.js';

const vector = z.array(z.number());

/** One dataset of a dataset_statistics.json: what else such files carry (mean, std, proprio, counts) is not used. */
const dataset = z.looseObject({
  action: z.looseObject({ q01: vector, q99: vector, mask: z.array(z.boolean()).optional() }),
});

/** Range of a dataset's actions, SI, in the order of the contract's dims. */
export interface ActionStatistics {
  readonly q01: readonly number[];
  readonly q99: readonly number[];
  /** Which dimensions are normalised; the others are raw. */
  readonly mask: readonly boolean[];
}

/**
 * Text of a dataset_statistics.json → statistics by dataset name (`unnorm_key`). A missing mask means all true. Datasets of
 * actions of another length than `dims` (other arms, two arms) are left out: a model of these dimensions cannot mean them.
 * @throws ConfigError where all are, where one of a dataset's vectors is longer or shorter, or q01 lies above q99.
 */
export function parseStatistics(
  text: string,
  dims: number,
  where: string,
): Readonly<Record<string, ActionStatistics>> {
  const datasets = parseJson(z.record(z.string(), dataset), text, where);
  const entries = Object.entries(datasets)
    .filter(([, { action }]) => [action.q01, action.q99].some(({ length }) => length === dims))
    .map(([name, { action }]) => {
      const mask = action.mask ?? action.q01.map(() => true);
      const statistics = { q01: action.q01, q99: action.q99, mask };
      check(statistics, dims, `${where}: ${name}.action`);
      return [name, statistics] as const;
    });
  const lengths = Object.values(datasets).map(({ action }) => action.q01.length);
  if (entries.length === 0 && lengths.length > 0)
    throw new ConfigError(
      where,
      `actions of ${[...new Set(lengths)].join(', ')} numbers`,
      `some of ${dims}, one per dimension of the model's`,
    );
  return Object.fromEntries(entries);
}

function check(statistics: ActionStatistics, dims: number, where: string): void {
  for (const [key, values] of Object.entries(statistics) as [string, readonly unknown[]][]) {
    if (values.length === dims) continue;
    throw new ConfigError(
      `${where}.${key}`,
      `${values.length} entries`,
      `${dims}, one per dimension`,
    );
  }
  statistics.q01.forEach((low, index) => {
    const high = statistics.q99[index]!;
    if (low <= high) return;
    throw new ConfigError(`${where}.q01.${index}`, String(low), `at most q99 = ${high}`);
  });
}
