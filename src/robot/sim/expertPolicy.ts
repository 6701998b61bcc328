/**
 * The scripted expert as a policy: it answers from the truth behind the camera frame that it is asked about, so it says how
 * far the arm, the control loop and the guard carry a policy that never errs in seeing.
 */
import type { ActionPrediction, Answer, Observation } from '../../types.js';
import { policyPeriod } from './driver.js';
import { expertAction } from './expert.js';
import type { SimRobot } from './simRobot.js';
import type { SceneState, Task } from './tasks.js';

export interface Truth {
  readonly state: SceneState;
  readonly task: Task;
}

/** What the running simulation's picture of an observation shows; null where it has no such frame, or it is black. */
export function truthOf(robot: SimRobot): (observation: Observation) => Truth | null {
  return ({ stampNs }) => {
    const frame = robot.frames.findLast((candidate) => candidate.stampNs === stampNs);
    return frame && frame.shows !== 'nothing' ? { state: frame.state, task: robot.task } : null;
  };
}

export class ExpertPolicy {
  readonly name = 'expert';
  readonly #truth: (observation: Observation) => Truth | null;

  constructor(truth: (observation: Observation) => Truth | null) {
    this.#truth = truth;
  }

  requestAction(observation: Observation): Promise<Answer<ActionPrediction>> {
    const truth = this.#truth(observation);
    if (!truth) {
      const message = `nothing is known of the scene behind the camera frame at ${observation.stampNs} ns`;
      return Promise.resolve({ ok: false, refusal: { kind: 'badObservation', message } });
    }
    const delta = expertAction(truth.state, truth.task);
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
    // It remembers nothing.
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
