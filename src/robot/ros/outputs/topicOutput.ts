/** Commands as messages on a topic, and what the layer below says about them. */
import type { Config } from '../../../config.js';
import { reason } from '../../../safety/reasons.js';
import type { ArmCommand, Reason } from '../../../types.js';
import { schemaOf } from '../../messages/schemas.js';
import { qos, type RosNode, type RosPublisher } from '../ros.js';
import { listenerFindings, parameterFindings } from './layerCheck.js';
import type { CommandOutput, Finding, Now, OutputOptions } from './output.js';
import type { Readback } from './readback.js';
import { type TopicCommand, type Wire, wireOf } from './wire.js';

export class TopicOutput implements CommandOutput {
  readonly target: string;
  readonly #node: RosNode;
  readonly #config: Config;
  readonly #command: TopicCommand;
  readonly #wire: Wire;
  readonly #publisher: RosPublisher;
  readonly #readbacks: readonly Readback[];

  /** `readbacks` become this output's to dispose of. @throws ConfigError where the command's joints are not the arm's. */
  constructor(
    { node, config, arm }: OutputOptions,
    command: TopicCommand,
    readbacks: readonly Readback[],
  ) {
    this.#node = node;
    this.#config = config;
    this.#command = command;
    this.#wire = wireOf(command, config, arm);
    this.#readbacks = readbacks;
    this.#publisher = node.publisher(schemaOf(this.#wire.type).rosName, command.topic, qos.command);
    this.target = `topic ${this.#publisher.topic}`;
  }

  begin(nowNs: bigint): void {
    for (const readback of this.#readbacks) readback.begin(nowNs);
  }

  end(): void {
    // A message is out as soon as it is sent.
  }

  send(command: ArmCommand, { nowNs, stampNs }: Now): void {
    const message = this.#wire.message(command, stampNs);
    if (!message) return;
    this.#publisher.publish(message);
    for (const readback of this.#readbacks) readback.sent(command, nowNs);
  }

  problem(nowNs: bigint): Reason | null {
    if (this.#publisher.subscriptions === 0)
      return reason('outputGone', `Nothing subscribes to ${this.#publisher.topic} any more.`);
    for (const readback of this.#readbacks) {
      const found = readback.problem(nowNs);
      if (found) return found;
    }
    return null;
  }

  async check(): Promise<readonly Finding[]> {
    const type = schemaOf(this.#wire.type).rosName;
    const found = await Promise.all([
      listenerFindings(this.#node, this.#publisher, type),
      parameterFindings(this.#node, this.#command, this.#config),
      ...this.#readbacks.map((readback) => readback.check()),
    ]);
    return found.flat();
  }

  dispose(): void {
    for (const readback of this.#readbacks) readback.dispose();
    this.#publisher.dispose();
  }
}
