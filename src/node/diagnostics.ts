/** `/diagnostics`, once a second, in every lifecycle state: one status per input and per part of the node. */
import { messageOf } from '../errors.js';
import { messageFromHeader } from '../robot/messages/messages.js';
import { type Disposable, qos, type RosMessage, type RosNode } from '../robot/ros/ros.js';
import { every } from './every.js';
import { type Facts, Recently } from './facts.js';
import { type Level, type PartStatus, statusesFrom } from './statuses.js';

export interface DiagnosticsSource {
  facts(): Facts;
}

/** Constants of diagnostic_msgs/DiagnosticStatus. */
const levels: Readonly<Record<Level, number>> = { ok: 0, warn: 1, error: 2, stale: 3 };
const PERIOD_MS = 1000;

export class Diagnostics {
  readonly #node: RosNode;
  readonly #source: DiagnosticsSource;
  readonly #parts: readonly Disposable[];
  readonly #publisher: { publish(message: RosMessage): void };
  readonly #recently = new Recently();

  constructor(node: RosNode, source: DiagnosticsSource) {
    this.#node = node;
    this.#source = source;
    const publisher = node.publisher(
      'diagnostic_msgs/msg/DiagnosticArray',
      '/diagnostics',
      qos.state,
    );
    this.#publisher = publisher;
    const timer = every(
      PERIOD_MS,
      () => this.publish(),
      (error) => this.#fail(error),
    );
    this.#parts = [timer, publisher];
  }

  /** By its own timer; a test calls it at its own times. */
  publish(): void {
    const facts = this.#source.facts();
    const statuses = statusesFrom(facts, this.#recently);
    this.#publisher.publish({
      header: messageFromHeader(facts.now.stampNs, ''),
      status: statuses.map((status) => this.#message(status, facts.robot)),
    });
  }

  dispose(): void {
    this.#parts.forEach((part) => part.dispose());
  }

  #message({ name, level, message, values }: PartStatus, hardwareId: string): RosMessage {
    return {
      level: levels[level],
      name: `${this.#node.fullName.slice(1)}: ${name}`,
      message,
      hardware_id: hardwareId,
      values: Object.entries(values).map(([key, value]) => ({ key, value })),
    };
  }

  /** Diagnostics that fail are themselves an error to be shown. */
  #fail(error: unknown): void {
    const message = `diagnostics failed: ${messageOf(error)}`;
    const status: PartStatus = { name: 'node', level: 'error', message, values: {} };
    this.#publisher.publish({
      header: messageFromHeader(0n, ''),
      status: [this.#message(status, '')],
    });
  }
}
