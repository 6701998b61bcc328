/** Seeded random numbers: the same seed gives the same sequence on every machine. Not for secrets. */

export interface Random {
  /** [0, 1). */
  readonly uniform: () => number;
  /** [a, b). */
  readonly between: (a: number, b: number) => number;
  /** 0 … n − 1. */
  readonly integer: (n: number) => number;
  /** Standard normal: mean 0, deviation 1. */
  readonly normal: () => number;
  /** One element, each as likely. @throws RangeError where there is none. */
  readonly pick: <T>(array: readonly T[]) => T;
  /** An independent generator, seeded from this one: what it draws does not shift this one's sequence. */
  readonly fork: () => Random;
}

/** Mulberry32 (Tommy Ettinger, 2017): 32 bits of state, period 2³², integer arithmetic only. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;

  const bits = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
  const uniform = (): number => bits() / 4294967296;

  /**
   * Marsaglia's polar method would call Math.log, whose last bit differs between machines; so the sum of twelve
   * uniforms (Irwin–Hall): mean 6, variance 1, bounded by ±6, and bit-identical everywhere.
   */
  const normal = (): number => {
    let sum = 0;
    for (let i = 0; i < 12; i++) sum += uniform();
    return sum - 6;
  };

  const integer = (n: number): number => Math.floor(uniform() * n);

  return {
    uniform,
    between: (a, b) => a + (b - a) * uniform(),
    integer,
    normal,
    pick: (array) => {
      if (array.length === 0) throw new RangeError('pick: got an empty array, expected an element');
      return array[integer(array.length)]!;
    },
    fork: () => seededRandom(bits()),
  };
}
