/** Policies for tests of control: what they answer is a function of the observation. */
import type { Policy, TraceRequest } from '../../src/control/policy.js';
import type {
  ActionPrediction,
  Answer,
  Observation,
  TracePrediction,
  Vec3,
} from '../../src/types.js';
import { prediction } from './controlRobot.js';

type Answering = (observation: Observation) => Promise<Answer<ActionPrediction>>;

export class ScriptedPolicy implements Policy {
  readonly name = 'scripted';
  readonly asked: Observation[] = [];
  readonly tracesAsked: TraceRequest[] = [];
  readonly episodes: number[] = [];
  /** Largest number of action requests that were under way at once. */
  mostAtOnce = 0;
  #underWay = 0;
  answer: Answering;

  constructor(answer: Answering) {
    this.answer = answer;
  }

  async requestAction(observation: Observation): Promise<Answer<ActionPrediction>> {
    this.asked.push(observation);
    this.#underWay++;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#underWay);
    try {
      return await this.answer(observation);
    } finally {
      this.#underWay--;
    }
  }

  requestTrace(observation: Observation, what: TraceRequest): Promise<Answer<TracePrediction>> {
    this.tracesAsked.push(what);
    return Promise.resolve({
      ok: true,
      value: {
        observationStampNs: observation.stampNs,
        episode: observation.episode,
        camera: what.camera,
        stepPeriodNs: 200_000_000n,
        marks: what.marks,
        traces: [],
        confidence: 1,
        timing: { decodeMs: 0, preprocessMs: 0, visionMs: 0, generateMs: 0, totalMs: 0 },
      },
    });
  }

  reset(episode: number): void {
    this.episodes.push(episode);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Steps of at most 4 cm towards a point, gripper closed. */
export function towards(goal: Vec3): Answering {
  return (observation) => {
    const from = observation.endEffector!.pose.translation;
    const way = goal.map((g, i) => g - from[i]!);
    const share = Math.min(1, 0.04 / Math.hypot(...way));
    return Promise.resolve({
      ok: true,
      value: prediction(observation, {
        kind: 'endEffectorDelta',
        stepPeriodNs: 200_000_000n,
        frameId: 'base',
        reference: 'observedPose',
        composition: 'base',
        steps: [
          {
            translation: [way[0]! * share, way[1]! * share, way[2]! * share],
            rotation: [0, 0, 0],
            gripper: 0,
          },
        ],
      }),
    });
  };
}
