/**
 * Where frames are, over time: the part of tf2 that this project needs. Pure; fed by tfListener.ts.
 *
 * As in tf2 (BufferCore, TimeCache): straight line and slerp between the two samples around a stamp, no extrapolation,
 * static transforms hold at all times and survive `clear`. Unlike tf2, a transform that would close a loop, or that is
 * no rigid transform, is refused when it comes; a frame that changes its parent begins a new history; two trees are
 * `notConnected` at every stamp; and a frame that nothing names is not known even to itself.
 */
import * as pose from '../../math/pose.js';
import type { Pose } from '../../types.js';

/** One edge of the tree. */
export interface FrameTransform {
  readonly parent: string;
  readonly child: string;
  /** ROS clock; not read for static transforms. */
  readonly stampNs: bigint;
  readonly parentFromChild: Pose;
}

export type TfLookup =
  | {
      readonly ok: true;
      readonly targetFromSource: Pose;
      /** When it held; null where only static transforms are on the way: always. */
      readonly stampNs: bigint | null;
    }
  | {
      readonly ok: false;
      /** `past`, `future`: the stamp lies outside what is known, by `byNs` > 0. */
      readonly code: 'unknownFrame' | 'notConnected' | 'past' | 'future';
      readonly message: string;
      readonly byNs: bigint | null;
    };

export interface TfBufferOptions {
  /** Samples older than the newest of their frame by more than this are dropped. tf2's default: 10 s. */
  readonly historyNs?: bigint;
}

/** Bounds on what hostile or broken publishers can make it hold. */
const MAX_FRAMES = 4096;
const MAX_SAMPLES = 8192;
/** |q|² may differ from 1 by this much; beyond it is no rotation. */
const MAX_QUATERNION_ERROR = 0.02;

interface Sample {
  readonly stampNs: bigint;
  readonly parentFromChild: Pose;
}

interface Frame {
  readonly parent: string;
  readonly isStatic: boolean;
  /** By stamp, the newest last, no stamp twice, never empty; one for a static frame. */
  readonly samples: Sample[];
}

export class TfBuffer {
  readonly #historyNs: bigint;
  /** By child: a frame has one parent. Roots are only parents. */
  readonly #frames = new Map<string, Frame>();

  constructor({ historyNs = 10_000_000_000n }: TfBufferOptions = {}) {
    this.#historyNs = historyNs;
  }

  /** Every frame that is a child or a parent. */
  get frames(): ReadonlySet<string> {
    const names = new Set(this.#frames.keys());
    for (const { parent } of this.#frames.values()) names.add(parent);
    return names;
  }

  /** Takes a transform of `/tf_static`. Returns why not, where it does not. */
  addStatic(transform: FrameTransform): string | null {
    return this.#add(transform, ({ parent, child, sample }) => {
      this.#frames.set(child, { parent, isStatic: true, samples: [sample] });
      return null;
    });
  }

  /** Takes a transform of `/tf`; one that is there already is ignored. Returns why not, where it does not take it. */
  addDynamic(transform: FrameTransform): string | null {
    return this.#add(transform, ({ parent, child, sample }) => {
      const known = this.#frames.get(child);
      const newestNs = known?.samples.at(-1)?.stampNs ?? sample.stampNs;
      if (known && !known.isStatic && newestNs - sample.stampNs > this.#historyNs)
        return `${child}: stamped ${seconds(newestNs - sample.stampNs)} before its newest transform; at most ${seconds(this.#historyNs)} is kept`;
      if (known && !known.isStatic && known.parent === parent) {
        this.#forgetOld(known.samples);
        insert(known.samples, sample);
        return null;
      }
      this.#frames.set(child, { parent, isStatic: false, samples: [sample] });
      return null;
    });
  }

  /**
   * The pose of `source` in `target` at a stamp: targetFromSource · p_source = p_target. `latest`: the newest stamp that
   * every transform on the way covers.
   */
  lookup(target: string, source: string, at: bigint | 'latest'): TfLookup {
    const [targetChain, sourceChain] = [withoutSlash(target), withoutSlash(source)].map((name) =>
      this.#chain(name),
    );
    if (!targetChain) return unknown(target);
    if (!sourceChain) return unknown(source);
    const common = sourceChain.find((name) => targetChain.includes(name));
    if (common === undefined)
      return {
        ok: false,
        code: 'notConnected',
        message: `${target} and ${source} are in two trees: ${targetChain.at(-1)!} and ${sourceChain.at(-1)!} have no common parent`,
        byNs: null,
      };
    const up = sourceChain.slice(0, sourceChain.indexOf(common));
    const down = targetChain.slice(0, targetChain.indexOf(common));
    const stampNs = at === 'latest' ? this.#latestCommon([...up, ...down]) : at;
    const commonFromSource = this.#along(up, stampNs);
    const commonFromTarget = this.#along(down, stampNs);
    if ('code' in commonFromSource) return commonFromSource;
    if ('code' in commonFromTarget) return commonFromTarget;
    const moves = [...up, ...down].some((name) => !this.#frames.get(name)!.isStatic);
    return {
      ok: true,
      targetFromSource: pose.compose(pose.invert(commonFromTarget), commonFromSource),
      stampNs: moves ? stampNs : null,
    };
  }

  /** The clock jumped: what moves is forgotten, static transforms stay. */
  clear(): void {
    for (const [child, { isStatic }] of this.#frames) if (!isStatic) this.#frames.delete(child);
  }

  #add(
    { parent: rawParent, child: rawChild, stampNs, parentFromChild }: FrameTransform,
    take: (edge: { parent: string; child: string; sample: Sample }) => string | null,
  ): string | null {
    const [parent, child] = [withoutSlash(rawParent), withoutSlash(rawChild)];
    const refused = refuse(parent, child, parentFromChild) ?? this.#refusePlace(parent, child);
    if (refused !== null) return refused;
    const { translation, rotation } = parentFromChild;
    const length = Math.hypot(...rotation);
    const [x, y, z, w] = rotation;
    const unit: Pose = {
      translation,
      rotation: [x / length, y / length, z / length, w / length],
    };
    return take({ parent, child, sample: { stampNs, parentFromChild: unit } });
  }

  #refusePlace(parent: string, child: string): string | null {
    if (!this.#frames.has(child) && this.#frames.size >= MAX_FRAMES)
      return `${child}: got more than ${MAX_FRAMES} frames`;
    if (this.#ancestry(parent).includes(child))
      return `${child}: its parent ${parent} is a descendant of it; a tree was expected`;
    return null;
  }

  /** The frame, its parent, and so on up to the root. */
  #ancestry(name: string): readonly string[] {
    const names = [name];
    for (let at = this.#frames.get(name); at; at = this.#frames.get(at.parent))
      names.push(at.parent);
    return names;
  }

  /** The same; null for a frame that nothing names. */
  #chain(name: string): readonly string[] | null {
    const names = this.#ancestry(name);
    if (names.length > 1) return names;
    for (const { parent } of this.#frames.values()) if (parent === name) return names;
    return null;
  }

  /** The oldest of the newest stamps; 0 where nothing moves, which static transforms do not read. */
  #latestCommon(children: readonly string[]): bigint {
    let common: bigint | null = null;
    for (const name of children) {
      const { isStatic, samples } = this.#frames.get(name)!;
      const newestNs = samples.at(-1)!.stampNs;
      if (!isStatic && (common === null || newestNs < common)) common = newestNs;
    }
    return common ?? 0n;
  }

  /** From the first of `children` to the parent of the last. */
  #along(children: readonly string[], stampNs: bigint): Pose | Extract<TfLookup, { ok: false }> {
    let upFromFirst = pose.identity;
    for (const name of children) {
      const found = sampleAt(name, this.#frames.get(name)!, stampNs);
      if ('code' in found) return found;
      upFromFirst = pose.compose(found, upFromFirst);
    }
    return upFromFirst;
  }

  /** As tf2, before a sample is taken: so one from before the history may stay until the next comes. */
  #forgetOld(samples: Sample[]): void {
    const oldestNs = samples.at(-1)!.stampNs - this.#historyNs;
    const kept = samples.findIndex(({ stampNs }) => stampNs >= oldestNs);
    samples.splice(0, Math.max(kept, samples.length + 1 - MAX_SAMPLES));
  }
}

function refuse(parent: string, child: string, { translation, rotation }: Pose): string | null {
  if (parent === '' || child === '')
    return `${child || parent || 'a transform'}: got no frame name`;
  if (parent === child) return `${child}: is its own parent`;
  if (!translation.every(Number.isFinite))
    return `${child}: got translation ${translation.join(' ')}, expected finite metres`;
  const squared = rotation.reduce((sum, q) => sum + q * q, 0);
  if (!(Math.abs(squared - 1) <= MAX_QUATERNION_ERROR))
    return `${child}: got rotation ${rotation.join(' ')}, expected a unit quaternion`;
  return null;
}

/** In place, by stamp; a stamp that is there keeps its first sample, as in tf2. */
function insert(samples: Sample[], sample: Sample): void {
  let at = samples.length;
  while (at > 0 && samples[at - 1]!.stampNs > sample.stampNs) at--;
  if (at > 0 && samples[at - 1]!.stampNs === sample.stampNs) return;
  samples.splice(at, 0, sample);
}

function sampleAt(
  child: string,
  { isStatic, samples }: Frame,
  stampNs: bigint,
): Pose | Extract<TfLookup, { ok: false }> {
  const [oldest, newest] = [samples[0]!, samples.at(-1)!];
  if (isStatic) return newest.parentFromChild;
  if (stampNs > newest.stampNs)
    return outside(child, 'future', stampNs - newest.stampNs, 'after its newest transform');
  if (stampNs < oldest.stampNs)
    return outside(child, 'past', oldest.stampNs - stampNs, 'before its oldest transform');
  const after = firstAtOrAfter(samples, stampNs);
  const b = samples[after]!;
  if (b.stampNs === stampNs) return b.parentFromChild;
  const a = samples[after - 1]!;
  const t = Number(stampNs - a.stampNs) / Number(b.stampNs - a.stampNs);
  return pose.interpolate(a.parentFromChild, b.parentFromChild, t);
}

/** Index of the first sample not before `stampNs`, which is not after the last. */
function firstAtOrAfter(samples: readonly Sample[], stampNs: bigint): number {
  let [low, high] = [0, samples.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (samples[middle]!.stampNs < stampNs) low = middle + 1;
    else high = middle;
  }
  return low;
}

function outside(
  child: string,
  code: 'past' | 'future',
  byNs: bigint,
  where: string,
): Extract<TfLookup, { ok: false }> {
  return { ok: false, code, message: `${child}: asked ${seconds(byNs)} ${where}`, byNs };
}

function unknown(name: string): TfLookup {
  return { ok: false, code: 'unknownFrame', message: `no transform names ${name}`, byNs: null };
}

/** tf names had a leading slash in ROS 1; tf2 strips it too. */
function withoutSlash(name: string): string {
  return name.startsWith('/') ? name.slice(1) : name;
}

function seconds(ns: bigint): string {
  return `${(Number(ns) / 1e9).toFixed(3)} s`;
}
