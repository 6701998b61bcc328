/** What a test sees of its peer (peer.ts). */

// Tests read messages of many types by name; a typed view would be a second definition of each.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Message = any;
export type Fields = Readonly<Record<string, unknown>>;

/** Defaults: reliable, volatile, 10. */
export interface PeerQos {
  readonly reliability?: 'reliable' | 'bestEffort';
  readonly durability?: 'volatile' | 'transientLocal';
  readonly depth?: number;
}

export interface PeerSubscription {
  readonly messages: Message[];
  /** process.hrtime.bigint() at which each was received. */
  readonly atNs: bigint[];
  /** The publisher's system clock when each was sent, ns. */
  readonly sentNs: bigint[];
  /** The first message, of those already here or to come, that `test` likes. */
  waitFor(test: (message: Message) => boolean, ms: number): Promise<Message>;
  /** The first that comes after this call. */
  next(ms: number): Promise<Message>;
  clear(): void;
  dispose(): Promise<void>;
}

export interface PeerGoal {
  readonly accepted: boolean;
  readonly feedback: Message[];
  readonly result: Promise<{ readonly status: string; readonly result: Message }>;
  /** How many goals the server said it is cancelling: 0 where it refused. */
  cancel(ms?: number): Promise<number>;
}

/** A goal that the peer's own action server was given. */
export interface PeerServedGoal {
  readonly request: Message;
  readonly atNs: bigint;
  readonly isCancelRequested: boolean;
  feedback(message: Fields): Promise<void>;
  end(status: 'succeeded' | 'aborted' | 'canceled', result?: Fields): Promise<void>;
}

export interface PeerActionServer {
  readonly goals: PeerServedGoal[];
  waitForGoal(count: number, ms: number): Promise<PeerServedGoal>;
}

export interface PeerEndpoint {
  readonly node: string;
  readonly type: string;
  readonly reliability: string;
  readonly durability: string;
  readonly depth: number;
}
