/**
 * The built-in simulation as its own ROS 2 node: camera, joints, tf, controllers, `/clock`. It is the clock of whoever
 * runs with `use_sim_time`; its own pace is the steady clock's, at `real_time_factor`. Everything of one stamp is published
 * after the `/clock` that announces it. Frames and joints are the URDF's.
 */
import type { RosNode } from '../robot/ros/ros.js';
import type { SteppedSim, Scene } from '../robot/sim/steppedSim.js';
import { instructionFor } from '../robot/sim/instructions.js';
import type { Outcome } from '../robot/sim/judge.js';
import { coreFamilies, type Family } from '../robot/sim/tasks.js';
import { timestep } from '../robot/sim/stage.js';
import type { ArmController } from './armController.js';
import type { GripperController } from './gripperController.js';
import { Pacing } from './pacing.js';
import type { Publications } from './publications.js';

/** Real time, handed in: nothing here reads a global clock. */
export interface SteadyClock {
  now(): { readonly nowNs: bigint };
  sleepUntil(nowNs: bigint, signal?: AbortSignal): Promise<void>;
}

export interface Episode {
  readonly seed: number;
  /** Null: chosen by the seed. */
  readonly family: Family | null;
}

export interface SimulatorParts {
  readonly node: RosNode;
  readonly sim: SteppedSim;
  readonly arm: ArmController;
  readonly gripper: GripperController;
  readonly publications: Publications;
  readonly clock: SteadyClock;
  readonly factor: number;
  readonly scene: Scene;
}

const stepNs = BigInt(Math.round(timestep * 1e9));
/** Real-time lag that is caught up with: a picture takes 5 to 20 ms, a pause of the machine longer. */
const longestBacklogNs = 50_000_000n;
const reportEveryNs = 1_000_000_000n;
/** How often a paused simulation looks whether it still is. */
const pausedNs = 20_000_000n;

export class Simulator {
  readonly #parts: SimulatorParts;
  readonly #pacing: Pacing;
  readonly #resets: { readonly episode: Episode; readonly done: (scene: Scene) => void }[] = [];
  #stampNs: bigint;
  #outcome: Outcome = 'running';
  #nextReportNs: bigint;

  constructor(parts: SimulatorParts) {
    this.#parts = parts;
    const { nowNs } = parts.clock.now();
    this.#pacing = new Pacing({ stepNs, longestBacklogNs, factor: parts.factor }, nowNs);
    this.#nextReportNs = nowNs + reportEveryNs;
    this.#stampNs = parts.scene.reading.stampNs;
    this.#announce(parts.scene);
    this.#serve();
  }

  /** Until `signal` is aborted. @throws Error where the simulation's thread fails. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    this.#pacing.restart(clock.now().nowNs);
    while (!signal.aborted) {
      const reset = this.#resets.shift();
      if (reset) reset.done(await this.#reset(reset.episode));
      const { nowNs } = clock.now();
      this.#report(nowNs);
      const steps = this.#pacing.due(nowNs);
      if (steps > 0) await this.#advance(steps);
      else await clock.sleepUntil(this.#pacing.nextNs ?? nowNs + pausedNs, signal);
    }
  }

  async #advance(steps: number): Promise<void> {
    const { sim, arm, gripper, publications } = this.#parts;
    const commands = Array.from({ length: steps }, (_, k) => {
      const { position, velocity } = arm.setpoint(this.#stampNs + BigInt(k) * stepNs);
      return { position, velocity, gripper: gripper.opening };
    });
    const { readings, image, outcome } = await sim.step(commands);
    for (const reading of readings) {
      publications.stepped(reading);
      if (image?.stampNs === reading.stampNs) publications.photographed(image);
    }
    const last = readings.at(-1)!;
    this.#stampNs = last.stampNs;
    arm.measured(last);
    gripper.measured(last);
    if (outcome !== this.#outcome) publications.judged(outcome);
    this.#outcome = outcome;
  }

  async #reset({ seed, family }: Episode): Promise<Scene> {
    const { sim, arm, gripper, clock, node } = this.#parts;
    const scene = await sim.reset(seed, family);
    arm.reset(scene.reading);
    gripper.reset(scene.reading);
    this.#outcome = 'running';
    this.#announce(scene);
    node.log.info(`new episode: seed ${seed}, ${instructionFor(scene.task)}`);
    this.#pacing.restart(clock.now().nowNs);
    return scene;
  }

  #announce({ camera, reading }: Scene): void {
    const { publications } = this.#parts;
    publications.began(camera, reading);
    publications.judged('running');
  }

  #serve(): void {
    const { node, clock } = this.#parts;
    node.service('magma_vla/srv/ResetScene', '~/reset', async (request) => {
      const episode = episodeFrom(Number(request['seed']), String(request['family']));
      if (typeof episode === 'string') return { success: false, instruction: '', message: episode };
      const scene = await new Promise<Scene>((done) => this.#resets.push({ episode, done }));
      return { success: true, instruction: instructionFor(scene.task), message: '' };
    });
    node.onParameterChanged((changes) => {
      const factor = changes.get('real_time_factor');
      if (typeof factor === 'number') this.#pacing.setFactor(factor, clock.now().nowNs);
    });
  }

  #report(nowNs: bigint): void {
    if (nowNs < this.#nextReportNs) return;
    this.#nextReportNs = nowNs + reportEveryNs;
    this.#parts.publications.paced(
      { wanted: this.#pacing.factor, achieved: this.#pacing.achieved(nowNs) },
      this.#stampNs,
      this.#parts.arm.refusals,
    );
  }
}

/** A sentence where it does not make sense. `family` empty: chosen by the seed. */
export function episodeFrom(seed: number, family: string): Episode | string {
  if (!Number.isInteger(seed) || seed < 0 || seed > 0xffff_ffff)
    return `seed: got ${seed}, expected a whole number 0 … 4294967295`;
  if (family === '') return { seed, family: null };
  const known = coreFamilies.find((name) => name === family);
  return known
    ? { seed, family: known }
    : `family: got ${family}, expected ${coreFamilies.join(', ')} or nothing`;
}
