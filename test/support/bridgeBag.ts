/** Small recordings in the shape of config/bridge.yaml, written by the recorder: an arm that does what is recorded. */
import { readConfig } from '../../src/config.js';
import { encodeJpeg } from '../../src/image/codec.js';
import * as quaternion from '../../src/math/quaternion.js';
import type { RecordedValues } from '../../src/robot/messages/messages.js';
import { Recorder } from '../../src/robot/replay/recorder.js';
import type { Quaternion, Vec3 } from '../../src/types.js';

export const bridge = readConfig('config/bridge.yaml');
export const stepsPerEpisode = 6;

export interface BridgeBag {
  /** One action per step of 0.2 s; all episodes do the same. */
  readonly actions?: readonly RecordedValues[];
  readonly episodes?: number;
  /** Steps at which the pose is not reported, in the first episode. */
  readonly silent?: readonly number[];
  /** What stands in for every JPEG. */
  readonly picture?: Uint8Array;
}

/** 1 cm forward, 5 mm up, a little yaw, gripper open. */
export const forwardStep: RecordedValues = [0.01, 0, 0.005, 0, 0, 0.02, 1];

/** Episode n begins at 100 s + 4 s · n; between episodes nothing is recorded. */
export async function writeBridgeBag(path: string, options: BridgeBag = {}): Promise<string> {
  const { episodes = 2, silent = [] } = options;
  const actions = options.actions ?? Array.from({ length: stepsPerEpisode }, () => forwardStep);
  const picture = options.picture ?? (await jpeg());
  let now = 0n;
  const recorder = await Recorder.open(path, bridge, () => now);
  for (let episode = 0; episode < episodes; episode++) {
    let translation: Vec3 = [0.3, 0, 0.15];
    let rotation: Quaternion = [0, 0, 0, 1];
    for (const [step, action] of actions.entries()) {
      now = 100_000_000_000n + 4_000_000_000n * BigInt(episode) + 200_000_000n * BigInt(step);
      if (step === 0) {
        recorder.onReset(`trajectory ${episode}`);
        recorder.onInstruction('put the carrot on the plate');
      }
      const pose = { translation, rotation };
      if (episode > 0 || !silent.includes(step))
        recorder.onEndEffector({ stampNs: now, frameId: 'base_link', pose });
      recorder.onGripper({ stampNs: now, opening: 1 });
      recorder.onImage('camera_0', {
        ...{ kind: 'compressed', stampNs: now, frameId: 'camera_0', format: 'jpeg' },
        data: picture,
      });
      recorder.recordedAction(action);
      translation = [
        translation[0] + action[0],
        translation[1] + action[1],
        translation[2] + action[2],
      ];
      const turn = quaternion.fromRpy([action[3], action[4], action[5]]);
      rotation = quaternion.normalise(quaternion.multiply(turn, rotation));
    }
  }
  await recorder.close();
  return path;
}

function jpeg(): Promise<Uint8Array> {
  const data = Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => (i * 7) % 256);
  return encodeJpeg({ height: 64, width: 64, data }, 80);
}
