/** An InstructionServer, a node in memory, and an arm of one joint whose motion, state and time a test sets. */
import type { Tick } from '../../src/control/loop.js';
import { InstructionServer } from '../../src/node/instructionServer.js';
import type { Reason } from '../../src/types.js';
import { FakeNode } from './fakeNode.js';

export const duration = (sec: number, nanosec = 0) => ({ sec, nanosec });
export const goalFor = (instruction: string, limit = duration(0)) => ({
  instruction,
  time_limit: limit,
});

/** Constants of the action. */
export const outcome = {
  ...{ succeeded: 0, failed: 1, timeLimit: 2 },
  ...{ canceled: 3, preempted: 4, stopped: 5 },
};

/** A result whose arm may move. */
export const notAtRest = (message: string) => ({
  ...{ outcome: outcome.stopped, code: 'notAtRest' },
  message: `${message}; that the arm rests is not certain`,
});

export class InstructionBench {
  readonly fake = new FakeNode();
  readonly server: InstructionServer;
  /** What was asked of the application, in order. */
  readonly calls: string[] = [];
  episode = 7;
  refusal: string | null = null;
  latched: Reason | null = null;
  gaveUp: Reason | null = null;
  isActive = true;
  isRestless = false;
  /** As commanded and as reported, rad/s. */
  speed = 0;
  #joint = 0.3;
  #now = 100;

  constructor() {
    this.server = new InstructionServer(this.fake.node, {
      refusal: () => this.refusal,
      begin: (instruction) => {
        this.calls.push(`begin ${instruction}`);
        return ++this.episode;
      },
      end: (because) => void this.calls.push(`end: ${because}`),
      latched: () => this.latched,
      gaveUp: () => this.gaveUp,
      isActive: () => this.isActive,
      tick: () => (this.isActive ? this.#tick() : null),
      restless: () => this.isRestless,
      now: () => ({ nowNs: this.#nowNs, stampNs: 5n }),
      config: { timeLimit: 60, outcome: { topic: '/outcome' } },
    });
  }

  /** Time goes on as the server's own timer would have it: every 50 ms. */
  wait(seconds: number): void {
    for (let left = Math.round(seconds / 0.05); left > 0; left--) {
      this.#now += 0.05;
      this.#joint += this.speed * 0.05;
      this.server.check();
    }
  }

  say(data: string): void {
    this.fake.hear('~/instruction', { data });
  }

  judge(data: string): void {
    this.fake.hear('/outcome', { data });
  }

  get #nowNs(): bigint {
    return BigInt(Math.round(this.#now * 1e9));
  }

  #tick(): Tick {
    const nowNs = this.#nowNs;
    const [position, velocity] = [[this.#joint], [this.speed]];
    const command = { kind: 'joint', names: ['j'], position, velocity, nowNs };
    const joints = { stampNs: nowNs, names: ['j'], position, velocity: null, effort: null };
    return {
      ...{ nowNs, stampNs: nowNs, prediction: null, sent: true },
      target: { kind: 'rest', because: 'waiting for an action', gripper: null },
      verdict: { outcome: 'limited', reasons: [{ code: 'rest', message: 'rests' }], command },
      measured: { joints, jointsReceivedNs: nowNs, endEffector: null, endEffectorReceivedNs: null },
    } as unknown as Tick;
  }
}
