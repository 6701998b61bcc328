/** What a black box and the thread that writes its files say to one another. Plain data: it is cloned on its way. */
import type { Config } from '../../config.js';
import type { Recorder } from './recorder.js';

type Recorded =
  | 'onImage'
  | 'onJoints'
  | 'onEndEffector'
  | 'onGripper'
  | 'onInstruction'
  | 'onReset'
  | 'action'
  | 'traces'
  | 'verdict'
  | 'refusal'
  | 'command';

/** A call of the recorder, to be made later. */
export type RecorderCall = {
  readonly [K in Recorded]: { readonly method: K; readonly values: Parameters<Recorder[K]> };
}[Recorded];

export interface Entry {
  /** The run's time at the call. */
  readonly stampNs: bigint;
  readonly call: RecorderCall;
}

export type ToWriter =
  | {
      readonly kind: 'begin';
      readonly folder: string;
      readonly name: string;
      readonly config: Config;
      /** Files of black boxes in the folder, the new one included; older ones are removed. */
      readonly keep: number;
    }
  | { readonly kind: 'entries'; readonly entries: readonly Entry[] }
  | { readonly kind: 'end'; readonly because: string };

export type FromWriter =
  /** One message has been dealt with. */
  | { readonly kind: 'taken' }
  /** `leftOut`: entries that could not be encoded, such as pictures of a camera that robot.yaml does not name. */
  | { readonly kind: 'written'; readonly path: string; readonly leftOut: number }
  | { readonly kind: 'failed'; readonly message: string };
