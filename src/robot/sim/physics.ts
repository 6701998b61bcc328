/**
 * MuJoCo (official WebAssembly build) behind the few calls the world needs. The only file that imports it.
 * Its views move when the WASM heap grows, so they are fetched again before every use: one Physics per worker.
 */
import load, { type MainModule, type MjData, type MjModel } from '@mujoco/mujoco';

export interface Views {
  readonly qpos: Float64Array;
  readonly qvel: Float64Array;
  readonly ctrl: Float64Array;
  /** Body positions, 3 each, and orientations [w, x, y, z], 4 each. */
  readonly xpos: Float64Array;
  readonly xquat: Float64Array;
  /** Placed bodies: positions, 3 each, and orientations [w, x, y, z], 4 each. */
  readonly mocap: Float64Array;
  readonly mocapRotation: Float64Array;
  readonly geomPosition: Float64Array;
  readonly geomRotation: Float64Array;
  /** Generalised actuator forces, N·m or N. */
  readonly force: Float64Array;
  /** What pushes bodies from outside, force (N) and torque (N·m) in the world frame, 6 each. */
  readonly applied: Float64Array;
}

export interface Geoms {
  readonly count: number;
  readonly type: Int32Array;
  readonly size: Float64Array;
  readonly rgba: Float64Array;
  readonly bound: Float64Array;
}

let module: Promise<MainModule> | null = null;

export class Physics {
  readonly #mujoco: MainModule;
  readonly #model: MjModel;
  readonly #data: MjData;

  static async create(mjcf: string): Promise<Physics> {
    module ??= load();
    return new Physics(await module, mjcf);
  }

  /** Another model, by the module that is loaded already. */
  another(mjcf: string): Physics {
    return new Physics(this.#mujoco, mjcf);
  }

  private constructor(mujoco: MainModule, mjcf: string) {
    this.#mujoco = mujoco;
    this.#model = mujoco.MjModel.from_xml_string(mjcf);
    this.#data = new mujoco.MjData(this.#model);
  }

  get views(): Views {
    const d = this.#data as unknown as Record<string, Float64Array>;
    return {
      qpos: d.qpos!,
      qvel: d.qvel!,
      ctrl: d.ctrl!,
      xpos: d.xpos!,
      xquat: d.xquat!,
      mocap: d.mocap_pos!,
      mocapRotation: d.mocap_quat!,
      geomPosition: d.geom_xpos!,
      geomRotation: d.geom_xmat!,
      force: d.qfrc_actuator!,
      applied: d.xfrc_applied!,
    };
  }

  /** Copies: geometry does not change while a model lives. */
  geoms(): Geoms {
    const m = this.#model as unknown as Record<string, ArrayLike<number>>;
    return {
      count: this.#model.ngeom,
      type: Int32Array.from(m.geom_type!),
      size: Float64Array.from(m.geom_size!),
      rgba: Float64Array.from(m.geom_rgba!),
      bound: Float64Array.from(m.geom_rbound!),
    };
  }

  body(name: string): number {
    return this.#id(this.#mujoco.mjtObj.mjOBJ_BODY, name);
  }

  geom(name: string): number {
    return this.#id(this.#mujoco.mjtObj.mjOBJ_GEOM, name);
  }

  actuator(name: string): number {
    return this.#id(this.#mujoco.mjtObj.mjOBJ_ACTUATOR, name);
  }

  /** Index of a joint's first coordinate in qpos and in qvel. */
  joint(name: string): { readonly qpos: number; readonly qvel: number } {
    const id = this.#id(this.#mujoco.mjtObj.mjOBJ_JOINT, name);
    const m = this.#model as unknown as Record<string, ArrayLike<number>>;
    return { qpos: m.jnt_qposadr![id]!, qvel: m.jnt_dofadr![id]! };
  }

  reset(): void {
    this.#mujoco.mj_resetData(this.#model, this.#data);
  }

  /** Recomputes positions after qpos or mocap were written. */
  forward(): void {
    this.#mujoco.mj_forward(this.#model, this.#data);
  }

  step(): void {
    this.#mujoco.mj_step(this.#model, this.#data);
  }

  close(): void {
    this.#data.delete();
    this.#model.delete();
  }

  #id(kind: { readonly value: number }, name: string): number {
    const id = this.#mujoco.mj_name2id(this.#model, kind.value, name);
    if (id < 0) throw new Error(`MJCF: no ${name}`);
    return id;
  }
}
