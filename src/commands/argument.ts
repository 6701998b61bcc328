/** Command-line texts → values; commander shows what these say. */
import { InvalidArgumentError, Option } from 'commander';
import { disturbances, type Disturbance } from '../robot/sim/disturb.js';
import { families, type Family } from '../robot/sim/tasks.js';

/** A whole number of at least `low`. */
export const integer =
  (low: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < low)
      throw new InvalidArgumentError(`expected a whole number ≥ ${low}`);
    return value;
  };

/** A finite number of at least `low`. */
export const number =
  (low: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!Number.isFinite(value) || value < low)
      throw new InvalidArgumentError(`expected a number ≥ ${low}`);
    return value;
  };

/** Comma-separated task families. */
export function parseFamilies(text: string): readonly Family[] {
  return text.split(',').map((name) => {
    const family = families.find((known) => known === name.trim());
    if (!family)
      throw new InvalidArgumentError(`got ${name}, expected some of ${families.join(', ')}`);
    return family;
  });
}

/** Comma-separated kinds of disturbance. */
export function parseDisturbances(text: string): readonly Disturbance[] {
  return text.split(',').map((name) => {
    const kind = disturbances.find((known) => known === name.trim());
    if (!kind)
      throw new InvalidArgumentError(`got ${name}, expected some of ${disturbances.join(', ')}`);
    return kind;
  });
}

/** The first of the numbers is the default. */
export const numberOption = (flags: string, text: string, numbers: readonly number[]): Option =>
  new Option(flags, `${text} (${numbers.join(' or ')})`)
    .default(numbers[0])
    .argParser((given: string) => {
      if (numbers.includes(Number(given))) return Number(given);
      throw new InvalidArgumentError(`expected ${numbers.join(' or ')}`);
    });
