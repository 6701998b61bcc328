/** A place in a model's text answer that only moves forward. What does not fit throws, with the place; `parsed` refuses. */
import { InputError } from '../errors.js';
import type { Answer } from '../types.js';
import { accept, refuse } from './refusal.js';

export class TextReader {
  readonly #text: string;
  /** What is read, for messages. */
  readonly #what: string;
  #at = 0;

  constructor(text: string, what: string) {
    this.#text = text;
    this.#what = what;
  }

  accepts(expected: string): boolean {
    if (!this.#text.startsWith(expected, this.#at)) return false;
    this.#at += expected.length;
    return true;
  }

  literal(expected: string): void {
    if (!this.accepts(expected)) this.fail(this.#next(expected.length), JSON.stringify(expected));
  }

  /** Decimal, without sign, leading zeros or more than four digits. */
  integer(): number {
    return this.#number(/^(?:0|[1-9]\d{0,3})(?!\d)/, 5, 'an integer');
  }

  /** 0 … 1 as `0`, `1`, `0.17` or `1.00`: at most four decimals, no sign. */
  fraction(): number {
    return this.#number(
      /^(?:0(?:\.\d{1,4})?|1(?:\.0{1,4})?)(?!\d|\.\d)/,
      8,
      'a number from 0 to 1',
    );
  }

  atEnd(): boolean {
    return this.#at === this.#text.length;
  }

  /** @throws InputError unless everything has been read. */
  end(): void {
    if (!this.atEnd()) this.fail('more text', 'the end');
  }

  fail(got: string, expected: string): never {
    throw new InputError(`${this.#what}, character ${this.#at}`, got, expected);
  }

  #number(form: RegExp, longest: number, expected: string): number {
    const digits = form.exec(this.#text.slice(this.#at, this.#at + longest));
    if (!digits) return this.fail(this.#next(longest), expected);
    this.#at += digits[0].length;
    return Number(digits[0]);
  }

  #next(length: number): string {
    const rest = this.#text.slice(this.#at, this.#at + length);
    return rest === '' ? 'the end' : JSON.stringify(rest);
  }
}

/** What `read` makes of the text; a text that does not fit is a refusal, never an exception. */
export function parsed<T>(text: string, what: string, read: (reader: TextReader) => T): Answer<T> {
  try {
    return accept(read(new TextReader(text, what)));
  } catch (problem) {
    if (!(problem instanceof InputError)) throw problem;
    return refuse('malformedAnswer', problem.where, problem.got, problem.expected);
  }
}
