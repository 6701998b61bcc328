/** Something the layer below publishes that tells what became of our commands. */
import type { ArmCommand, Reason } from '../../../types.js';
import type { Finding } from './output.js';

export interface Readback {
  /** The stream begins anew. */
  begin(nowNs: bigint): void;
  /** A command has gone out. */
  sent(command: ArmCommand, nowNs: bigint): void;
  /** Cheap: called every tick. */
  problem(nowNs: bigint): Reason | null;
  /** Never rejects. */
  check(): Promise<readonly Finding[]>;
  dispose(): void;
}
