/**
 * The built-in simulation for those who command it at every physics step, with servo setpoints: no guard, no listener.
 * The live simulator's node drives it; what goes through a guard of this process uses SimRobot.
 */
import type { PinholeCamera } from '../../types.js';
import type { ServoCommand, SimReply, StepReading } from './protocol.js';
import type { SimOptions } from './simRobot.js';
import { SimThread } from './simThread.js';
import type { Family, Task } from './tasks.js';

export interface Scene {
  readonly task: Task;
  readonly camera: PinholeCamera;
  /** The arm at its start pose. */
  readonly reading: StepReading;
}

export class SteppedSim {
  readonly #thread: SimThread;

  constructor(options: Pick<SimOptions, 'urdf' | 'cameraSize' | 'cameraPeriodNs'>) {
    this.#thread = new SimThread({
      world: { urdf: options.urdf, camera: options.cameraSize },
      cameraPeriodNs: options.cameraPeriodNs,
    });
  }

  /** Scene, arm and task from a seed, as SimRobot's; time stands still meanwhile. */
  reset(seed: number, family: Family | null): Promise<Scene> {
    const plan = { seed, family, scenery: 'core', language: 'canonical' } as const;
    return this.#thread.ask({ kind: 'reset', plan, disturbances: [], pauseNs: 0n });
  }

  /** One physics step (`timestep` of world.ts) per command. */
  step(commands: readonly ServoCommand[]): Promise<Extract<SimReply, { kind: 'stepped' }>> {
    return this.#thread.ask({ kind: 'step', commands });
  }

  stop(): Promise<void> {
    return this.#thread.stop();
  }
}
