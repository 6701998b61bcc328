/**
 * The scripted expert as a policy: it answers from the truth behind the camera frame that it is asked about, so it says how
 * far the arm, the control loop and the guard carry a policy that never errs in seeing.
 */
import type { ActionPrediction, Answer, Observation } from '../../types.js';
import { policyPeriod } from './demonstrate.js';
import { expertAction } from './expert.js';
import type { SimRobot } from './simRobot.js';

export class ExpertPolicy {
  readonly name = 'expert';
  readonly #robot: SimRobot;

  constructor(robot: SimRobot) {
    this.#robot = robot;
  }

  requestAction(observation: Observation): Promise<Answer<ActionPrediction>> {
    const frame = this.#robot.frames.findLast(({ stampNs }) => stampNs === observation.stampNs);
    if (!frame) {
      const message = `the simulation has no camera frame at ${observation.stampNs} ns`;
      return Promise.resolve({ ok: false, refusal: { kind: 'badObservation', message } });
    }
    const delta = expertAction(frame.state, this.#robot.task);
    return Promise.resolve({
      ok: true,
      value: {
        observationStampNs: observation.stampNs,
        episode: observation.episode,
        chunk: {
          kind: 'endEffectorDelta',
          stepPeriodNs: BigInt(Math.round(policyPeriod * 1e9)),
          frameId: 'base_link',
          reference: 'observedPose',
          composition: 'base',
          steps: [delta],
        },
        confidence: 1,
        timing: { decodeMs: 0, preprocessMs: 0, visionMs: 0, generateMs: 0, totalMs: 0 },
      },
    });
  }

  reset(): void {
    // The robot's frames are of the running episode only.
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
