/** What the node does, and what the guard makes of it ↔ magma_vla/Status. */
import { DataError } from '../../errors.js';
import type { ArmCommand, Reason, Refusal, Verdict } from '../../types.js';
import type { RosMessage } from './cdr.js';
import { messageFromHeader } from './messages.js';

/** Constants of Status.msg, in its order. */
const outcomes = ['pass', 'limited', 'halt', 'refused'] as const;

/** What became of the latest target or request. */
export interface StatusOutcome {
  readonly outcome: (typeof outcomes)[number];
  readonly reasons: readonly Reason[];
}

/** What an operator needs at a glance. */
export interface NodeStatus {
  /** `inactive`, `holding`, `following`, `recovering`, `braking`, `latched`, `takeover` … */
  readonly state: string;
  /** Nothing is sent. */
  readonly dryRun: boolean;
  /** A person consents to motion, or nobody is asked for it. */
  readonly enabled: boolean;
  /** Why the arm is stopped until re-armed; empty where it is not. */
  readonly latched: string;
  /** Empty: none. */
  readonly instruction: string;
  readonly episode: number;
  /** 0 … 1 of the configured speed. */
  readonly speedScale: number;
}

export function messageFromStatus(
  { outcome, reasons }: StatusOutcome,
  node: NodeStatus,
  stampNs: bigint,
): RosMessage {
  return {
    header: messageFromHeader(stampNs, ''),
    state: node.state,
    dry_run: node.dryRun,
    enabled: node.enabled,
    latched: node.latched,
    instruction: node.instruction,
    episode: BigInt(node.episode),
    speed_scale: node.speedScale,
    outcome: outcomes.indexOf(outcome),
    codes: reasons.map((reason) => reason.code),
    messages: reasons.map((reason) => reason.message),
  };
}

export function statusFromMessage(
  message: RosMessage,
  where: string,
): StatusOutcome & { readonly node: NodeStatus } {
  const outcome = outcomes[Number(message['outcome'])];
  const codes = message['codes'] as readonly string[];
  const messages = message['messages'] as readonly string[];
  if (!outcome || codes.length !== messages.length)
    throw new DataError(where, `outcome ${String(message['outcome'])}`, 'a Status as defined');
  return {
    outcome,
    reasons: codes.map((code, i) => ({ code, message: messages[i]! })),
    node: {
      state: String(message['state']),
      dryRun: message['dry_run'] === true,
      enabled: message['enabled'] === true,
      latched: String(message['latched']),
      instruction: String(message['instruction']),
      episode: Number(message['episode']),
      speedScale: Number(message['speed_scale']),
    },
  };
}

/** A refused request is an outcome like the guard's. */
export function outcomeOfRefusal({ kind, message }: Refusal): StatusOutcome {
  return { outcome: 'refused', reasons: [{ code: kind, message }] };
}

/** What an active arm does by a verdict. `latched`: as Guard.latched, null where it is not. */
export function stateFromVerdict(
  { outcome, command }: Verdict,
  latched: Reason | null,
): 'latched' | 'holding' | 'braking' | 'following' {
  if (latched) return 'latched';
  if (!isMoving(command)) return 'holding';
  return outcome === 'halt' ? 'braking' : 'following';
}

function isMoving(command: ArmCommand): boolean {
  const speeds =
    command.kind === 'joint' ? command.velocity : [...command.linear, ...command.angular];
  return speeds.some((speed) => speed !== 0);
}
