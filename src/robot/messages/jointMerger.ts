/** Joint-state messages that name some joints each → one reading of all configured joints. */
import { DataError } from '../../errors.js';
import type { JointReading } from '../../types.js';
import type { JointMessage } from './messages.js';

/** Stamps that run back by more than this are a jump of the clock; by less, messages that overtook one another. */
export const REORDERING_NS = 500_000_000n;

interface Joint {
  stampNs: bigint;
  position: number;
  /** NaN: not reported. */
  velocity: number;
  effort: number;
}

export class JointMerger {
  private readonly names: readonly string[];
  private readonly joints: (Joint | null)[];

  /** @param names the configured joints; readings keep their order. */
  constructor(names: readonly string[]) {
    this.names = names;
    this.joints = names.map(() => null);
  }

  /**
   * Takes one message. Joints that are not configured are ignored, and so is what is a little older than a joint's last
   * value. What is much older means that time jumped, or that the last stamp was wrong: then everything begins anew.
   *
   * @returns the merged reading, or null where the message changed nothing or some joint has not been seen yet.
   * @throws DataError for a position that is not finite; the joints before it are not changed either.
   */
  update(message: JointMessage, where: string): JointReading | null {
    if (message.position.length === 0) return null;
    const isJump = this.isJump(message);
    const fresh = this.names.flatMap((name, at) => {
      const from = message.names.indexOf(name);
      const last = this.joints[at];
      const isOld = !isJump && last && last.stampNs > message.stampNs;
      return from < 0 || isOld ? [] : [{ name, at, from }];
    });
    for (const { name, from } of fresh)
      if (!Number.isFinite(message.position[from]))
        throw new DataError(
          `${where}: joint ${name}`,
          `position ${message.position[from]!}`,
          'a finite position',
        );
    if (isJump) this.clear();
    for (const { at, from } of fresh)
      this.joints[at] = {
        stampNs: message.stampNs,
        position: message.position[from]!,
        velocity: message.velocity[from] ?? NaN,
        effort: message.effort[from] ?? NaN,
      };
    return fresh.length === 0 ? null : this.reading();
  }

  /** Forgets everything: a new episode, or time jumped. */
  clear(): void {
    this.joints.fill(null);
  }

  /** Configured joints that no message has held yet. */
  missing(): readonly string[] {
    return this.names.filter((_, at) => this.joints[at] === null);
  }

  private isJump({ names, stampNs }: JointMessage): boolean {
    return this.names.some((name, at) => {
      const last = this.joints[at];
      return last && last.stampNs - stampNs > REORDERING_NS && names.includes(name);
    });
  }

  private reading(): JointReading | null {
    const seen = this.joints.filter((joint) => joint !== null);
    if (seen.length < this.names.length) return null;
    return {
      stampNs: seen.reduce((a, j) => (j.stampNs < a ? j.stampNs : a), seen[0]!.stampNs),
      names: this.names,
      position: seen.map((joint) => joint.position),
      velocity: reported(seen.map((joint) => joint.velocity)),
      effort: reported(seen.map((joint) => joint.effort)),
    };
  }
}

/** ros2_control reports NaN where a joint has no such interface: then the whole vector counts as not reported. */
function reported(values: readonly number[]): readonly number[] | null {
  return values.every(Number.isFinite) ? values : null;
}
