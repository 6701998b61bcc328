/**
 * One simulated table with the arm: seeded scenes, servo commands in, readings and pictures out. Synchronous and
 * deterministic: the same seed and commands give the same bits. Times in seconds of simulated time.
 */
import { armFromUrdf, forward, type Arm } from '../../arm/kinematics.js';
import { solveIk } from '../../arm/inverse.js';
import { parseUrdf, type Urdf } from '../../arm/urdf.js';
import { seededRandom, type Random } from '../../math/random.js';
import { fromRpy, toRpy } from '../../math/quaternion.js';
import type { PinholeCamera, Pose, RgbImage, Vec3 } from '../../types.js';
import { Physics } from './physics.js';
import { coloursFor, spread, type Place } from './placing.js';
import { RayCaster, type Light, type SceneGeometry } from './rayCaster.js';
import { armServos, clutterShapes, obstacleHalf } from './scene.js';
import {
  coreObjects,
  sceneries,
  type SceneObjects,
  type Scenery,
  type SceneryName,
} from './scenery.js';
import { sceneText, Stage, timestep } from './stage.js';
import {
  coreBlockHalf,
  padColours,
  type BlockColour,
  type BlockState,
  type PadColour,
  type SceneState,
} from './tasks.js';
import { cameraAt } from './view.js';

export const fingerTravel = 0.04;
/** s for which the servos follow the last command's velocity. */
const coastingTime = 0.04;

/** Where the tool may start, base frame, m and rad. */
const startArea = { x: [0.38, 0.55], y: [-0.15, 0.15], z: [0.17, 0.24], yaw: [-0.3, 0.3] } as const;
export const home: readonly number[] = [0, -0.25, 0, -2.15, 0, 1.9, 0.785];
const parked: Vec3 = [-3, 0, -0.68];

export interface WorldOptions {
  readonly urdf: string;
  readonly camera: { readonly height: number; readonly width: number };
}

/** Beside the scene itself: whether a low bar lies ready to be put in the way. */
export type Extra = SceneObjects['obstacle'];

export class World {
  readonly arm: Arm;
  readonly #urdf: Urdf;
  readonly #caster: RayCaster;
  readonly #size: { readonly height: number; readonly width: number };
  /** Models that many scenes share, by their text; others live as long as their scene. */
  readonly #shared = new Map<string, Stage>();
  #stage: Stage;
  #camera: PinholeCamera;
  #light: Light = { position: [0.3, 0, 1.6], ambient: 0.5 };
  #blocks: readonly BlockColour[] = [];
  #setpoint: { position: readonly number[]; velocity: readonly number[]; age: number };
  #push: { readonly force: Vec3; left: number } | null = null;

  static async create(options: WorldOptions): Promise<World> {
    const urdf = parseUrdf(options.urdf, 'built-in arm');
    const physics = await Physics.create(sceneText(urdf, coreObjects));
    return new World(physics, urdf, options);
  }

  private constructor(physics: Physics, urdf: Urdf, options: WorldOptions) {
    this.arm = armFromUrdf(urdf, { baseLink: 'base_link', tipLink: 'tcp' });
    this.#urdf = urdf;
    this.#size = options.camera;
    this.#caster = new RayCaster(options.camera.height, options.camera.width);
    this.#stage = new Stage(physics, this.arm, coreObjects);
    this.#shared.set(sceneText(urdf, coreObjects), this.#stage);
    const { eye, aim } = sceneries.core.camera;
    this.#camera = cameraAt(eye, aim, options.camera);
    this.#setpoint = { position: home, velocity: home.map(() => 0), age: 0 };
  }

  /** A fresh scene: blocks, pads, clutter, light, colours, camera and arm pose drawn from the seed. */
  reset(seed: number, name: SceneryName = 'core', extra: Extra = 'none'): void {
    const random = seededRandom(seed);
    const scenery = sceneries[name];
    this.#blocks = coloursFor(random, scenery);
    const objects = scenery.objects?.(random, this.#blocks) ?? coreObjects;
    this.#stage = this.#stageFor(
      { ...objects, obstacle: extra },
      scenery.objects ? 'once' : 'shared',
    );
    this.#physics.reset();
    this.#placeObjects(random);
    this.#vary(random, scenery);
    const start: Pose = {
      translation: [
        random.between(...startArea.x),
        random.between(...startArea.y),
        random.between(...startArea.z),
      ],
      rotation: fromRpy([Math.PI, 0, random.between(...startArea.yaw)]),
    };
    const { position } = solveIk(this.arm, home, start, { maxIterations: 200 });
    const { qpos } = this.#physics.views;
    this.#stage.joints.forEach((joint, i) => (qpos[joint.qpos] = position[i]!));
    for (const finger of this.#stage.fingers) qpos[finger.qpos] = fingerTravel;
    this.#push = null;
    this.command(
      position,
      position.map(() => 0),
    );
    this.grip(1);
    this.#physics.forward();
    this.advance(0.1);
  }

  /** Servo setpoint: joint positions and velocities (rad, rad/s). Extrapolated for at most 40 ms, then held. */
  command(position: readonly number[], velocity: readonly number[]): void {
    this.#setpoint = { position: [...position], velocity: [...velocity], age: 0 };
  }

  /** Gripper opening wanted, 0 closed … 1 open. */
  grip(opening: number): void {
    const { ctrl } = this.#physics.views;
    // Closed aims past zero so that a held object is squeezed.
    const target = opening >= 1 ? fingerTravel : opening * fingerTravel - 0.005 * (1 - opening);
    for (const actuator of this.#stage.fingerActuators) ctrl[actuator] = target;
  }

  advance(seconds: number): void {
    const steps = Math.round(seconds / timestep);
    for (let i = 0; i < steps; i++) {
      this.#applySetpoint();
      this.#applyPush();
      this.#physics.step();
    }
  }

  /** Position + velocity feed-forward through a position servo: kp·(q* + kv/kp·q̇* − q) − kv·q̇ = kp·(q* − q) + kv·(q̇* − q̇). */
  #applySetpoint(): void {
    const { ctrl } = this.#physics.views;
    const { position, velocity, age } = this.#setpoint;
    // Commands that come late are coasted over, then the feed-forward fades: a real servo does not brake at one missed tick.
    const fade = Math.min(1, Math.max(0, 2 - age / coastingTime));
    this.#stage.actuators.forEach((actuator, i) => {
      const servo = armServos[i]!;
      const rate = fade * velocity[i]!;
      // The command says where to be at its own instant; until the next one arrives the servo follows its velocity.
      ctrl[actuator] =
        position[i]! +
        velocity[i]! * Math.min(age, coastingTime) +
        (servo.damping / servo.stiffness) * rate;
    });
    this.#setpoint.age += timestep;
  }

  /** Measured arm joints (rad, rad/s, N·m). */
  joints(): {
    readonly position: number[];
    readonly velocity: number[];
    readonly effort: number[];
  } {
    const { qpos, qvel, force } = this.#physics.views;
    return {
      position: this.#stage.joints.map((joint) => qpos[joint.qpos]!),
      velocity: this.#stage.joints.map((joint) => qvel[joint.qvel]!),
      effort: this.#stage.joints.map((joint) => force[joint.qvel]!),
    };
  }

  /**
   * N·m the arm's servos push with at the end of the step: what the implicit integrator applied over it. The solver's own
   * figure (`joints`) is of the step's beginning, where a setpoint that has just moved on makes it several times as large.
   */
  servoEffort(): number[] {
    const { qpos, qvel, ctrl } = this.#physics.views;
    return this.#stage.joints.map((joint, i) => {
      const { stiffness, damping, force } = armServos[i]!;
      const wanted = ctrl[this.#stage.actuators[i]!]!;
      const push = stiffness * (wanted - qpos[joint.qpos]!) - damping * qvel[joint.qvel]!;
      return Math.min(force, Math.max(-force, push));
    });
  }

  /** Measured fingers, left and right: travel 0 closed … 0.04 m open, m/s, N. */
  fingers(): {
    readonly position: number[];
    readonly velocity: number[];
    readonly effort: number[];
  } {
    const { qpos, qvel, force } = this.#physics.views;
    return {
      position: this.#stage.fingers.map((finger) => qpos[finger.qpos]!),
      velocity: this.#stage.fingers.map((finger) => qvel[finger.qvel]!),
      effort: this.#stage.fingers.map((finger) => force[finger.qvel]!),
    };
  }

  /** Distance between the finger pads, m: 0 … 0.08. */
  gripperWidth(): number {
    const { qpos } = this.#physics.views;
    return this.#stage.fingers.reduce((sum, finger) => sum + qpos[finger.qpos]!, 0);
  }

  state(): SceneState {
    const { xpos, xquat } = this.#physics.views;
    const tcp = forward(this.arm, this.joints().position);
    const at = (body: number): Vec3 => [xpos[3 * body]!, xpos[3 * body + 1]!, xpos[3 * body + 2]!];
    const { objects } = this.#stage;
    const blocks = Object.fromEntries(
      this.#blocks.map((colour): [BlockColour, BlockState] => {
        const body = this.#physics.body(`block_${colour}`);
        const [w, x, y, z] = [0, 1, 2, 3].map((i) => xquat[4 * body + i]!) as [
          number,
          number,
          number,
          number,
        ];
        const yaw = Math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z));
        const { half } = objects.blocks.find((block) => block.colour === colour)!;
        const size = half === coreBlockHalf ? {} : { half };
        return [colour, { position: at(body), yaw, ...size }];
      }),
    );
    const pads = Object.fromEntries(
      padColours.map((colour) => [colour, at(this.#physics.body(`pad_${colour}`))]),
    );
    const clutter = objects.clutter.map((_, i) => at(this.#physics.body(`clutter_${i}`)));
    return {
      tcp: tcp.translation,
      tcpYaw: toRpy(tcp.rotation)[2],
      gripperWidth: this.gripperWidth(),
      blocks,
      pads,
      ...(clutter.length > 0 ? { clutter } : {}),
    };
  }

  get blocks(): readonly BlockColour[] {
    return this.#blocks;
  }

  get camera(): PinholeCamera {
    return this.#camera;
  }

  render(): RgbImage {
    return this.#caster.render(this.#geometry(), this.#camera, this.#light);
  }

  /** The same view, larger: for people's pictures, never for the model. */
  renderAt(caster: RayCaster, size: { readonly height: number; readonly width: number }): RgbImage {
    const zoom = size.width / this.#size.width;
    const { fx, fy, cx, cy, cameraFromBase } = this.#camera;
    const camera = {
      ...size,
      fx: fx * zoom,
      fy: fy * zoom,
      cx: cx * zoom,
      cy: cy * zoom,
      cameraFromBase,
    };
    return caster.render(this.#geometry(), camera, this.#light);
  }

  /** Somebody puts a block or a pad elsewhere; `z`: of its centre. */
  move(
    thing: { readonly block: BlockColour } | { readonly pad: PadColour },
    [x, y]: Place,
    z: number,
  ): void {
    const { qpos, qvel, mocap } = this.#physics.views;
    if ('pad' in thing) {
      mocap.set([x, y, z], 3 * padColours.indexOf(thing.pad));
    } else {
      const joint = this.#physics.joint(`block_${thing.block}`);
      qpos.set([x, y, z], joint.qpos);
      qvel.fill(0, joint.qvel, joint.qvel + 6);
    }
    this.#physics.forward();
  }

  /** Something pushes the hand, N in the base frame, for so long. */
  bump(force: Vec3, seconds: number): void {
    this.#push = { force, left: seconds };
  }

  /** Puts the low bar onto the table. @throws Error where the scene was made without one. */
  putObstacle([x, y]: Place, yaw: number): void {
    if (this.#stage.objects.obstacle === 'none') throw new Error('scene: no obstacle lies ready');
    const { mocap, mocapRotation } = this.#physics.views;
    mocap.set([x, y, obstacleHalf[2]], 3 * padColours.length);
    mocapRotation.set([Math.cos(yaw / 2), 0, 0, Math.sin(yaw / 2)], 4 * padColours.length);
    this.#physics.forward();
  }

  close(): void {
    for (const stage of new Set([...this.#shared.values(), this.#stage])) stage.physics.close();
  }

  get #physics(): Physics {
    return this.#stage.physics;
  }

  /** The compiled model of these objects. One that was made for a single scene is let go of. */
  #stageFor(objects: SceneObjects, once: 'once' | 'shared'): Stage {
    const text = sceneText(this.#urdf, objects);
    const shared = this.#shared.get(text);
    const old = this.#stage;
    const stage = shared ?? new Stage(old.physics.another(text), this.arm, objects);
    if (once === 'shared') this.#shared.set(text, stage);
    if (stage !== old && ![...this.#shared.values()].includes(old)) old.physics.close();
    return stage;
  }

  #applyPush(): void {
    const push = this.#push;
    if (!push) return;
    const { applied } = this.#physics.views;
    push.left -= timestep;
    const over = push.left < 0;
    applied.set(over ? [0, 0, 0] : push.force, 6 * this.#stage.hand);
    if (over) this.#push = null;
  }

  #geometry(): SceneGeometry {
    const { geomPosition, geomRotation } = this.#physics.views;
    const { count, type, size, bound } = this.#stage.geoms;
    const onlyTable = new Uint8Array(count);
    onlyTable[this.#physics.geom('table')] = 1;
    return {
      count,
      type,
      size,
      bound,
      rgba: this.#stage.rgba,
      position: geomPosition,
      rotation: geomRotation,
      checkered: onlyTable,
      shadowless: onlyTable,
    };
  }

  #placeObjects(random: Random): void {
    const { objects } = this.#stage;
    const radii = [
      ...padColours.map(() => 0.05),
      ...this.#blocks.map(() => 0.035),
      ...objects.clutter.map(() => 0.035),
    ];
    const places = spread(random, radii);
    const { qpos, mocap } = this.#physics.views;
    const put = (name: string, at: Vec3, yaw: number): void =>
      qpos.set([...at, Math.cos(yaw / 2), 0, 0, Math.sin(yaw / 2)], this.#physics.joint(name).qpos);
    padColours.forEach((_, i) => mocap.set([...places[i]!, 0.001], 3 * i));
    objects.blocks.forEach(({ colour, half }, i) => {
      const index = this.#blocks.indexOf(colour);
      const yaw = index < 0 ? 0 : random.between(-0.6, 0.6);
      const place = places[padColours.length + index];
      const at: Vec3 = index < 0 ? [parked[0], 0.3 * i, parked[2]] : [place![0], place![1], half];
      put(`block_${colour}`, at, yaw);
    });
    objects.clutter.forEach(({ shape }, i) => {
      const [x, y] = places[padColours.length + this.#blocks.length + i]!;
      put(`clutter_${i}`, [x, y, clutterShapes[shape].size.at(-1)!], random.between(-1.5, 1.5));
    });
  }

  #vary(random: Random, { camera, variation }: Scenery): void {
    const jitter = (): number => random.between(-variation.camera, variation.camera);
    const { eye, aim } = camera;
    this.#camera = cameraAt(
      [eye[0] + jitter(), eye[1] + jitter(), eye[2] + jitter()],
      [aim[0] + jitter() / 2, aim[1] + jitter() / 2, aim[2]],
      this.#size,
    );
    this.#light = {
      position: [
        0.3 + random.between(-0.3, 0.3),
        random.between(-0.7, 0.7),
        random.between(1.3, 1.9),
      ],
      ambient: random.between(...variation.ambient),
    };
    for (let g = 0; g < this.#stage.geoms.count; g++) {
      const wide = g < 2 ? 2.5 : 1; // table and floor vary most
      for (let c = 0; c < 3; c++) {
        const nominal = this.#stage.geoms.rgba[4 * g + c]!;
        const change = 1 + wide * random.between(-variation.colour, variation.colour);
        this.#stage.rgba[4 * g + c] = Math.min(1, Math.max(0, nominal * change));
      }
    }
  }
}
