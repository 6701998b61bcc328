/**
 * One simulated table with the arm: seeded scenes, servo commands in, readings and pictures out. Synchronous and
 * deterministic: the same seed and commands give the same bits. Times in seconds of simulated time.
 */
import { armFromUrdf, forward, type Arm } from '../../arm/kinematics.js';
import { solveIk } from '../../arm/inverse.js';
import { parseUrdf } from '../../arm/urdf.js';
import { seededRandom, type Random } from '../../math/random.js';
import { fromMatrix, fromRpy, toRpy } from '../../math/quaternion.js';
import { invert, transformPoint } from '../../math/pose.js';
import type { PinholeCamera, Pixel, Pose, RgbImage, Vec3 } from '../../types.js';
import { Physics, type Geoms } from './physics.js';
import { RayCaster, type Light, type SceneGeometry } from './rayCaster.js';
import { armServos, blockHalf, mjcfFromUrdf } from './scene.js';
import { blockColours, padColours, type BlockColour, type SceneState } from './tasks.js';

export const timestep = 0.0025;
export const fingerTravel = 0.04;
/** s for which the servos follow the last command's velocity. */
const coastingTime = 0.04;

/** How far a scene departs from the nominal one. */
export interface Variation {
  /** Camera eye, ± m; its aim moves half as far. */
  readonly camera: number;
  /** Relative change of every colour. */
  readonly colour: number;
}
export const nominalVariation: Variation = { camera: 0.015, colour: 0.08 };

/** Where things may start, base frame, m. */
const area = { x: [0.36, 0.6], y: [-0.18, 0.18] } as const;
const startArea = { x: [0.38, 0.55], y: [-0.15, 0.15], z: [0.17, 0.24], yaw: [-0.3, 0.3] } as const;
export const home: readonly number[] = [0, -0.25, 0, -2.15, 0, 1.9, 0.785];
const blocksPerScene = 3;
const parked: Vec3 = [-3, 0, -0.68];
const fieldOfView = (32 * Math.PI) / 180;

export interface WorldOptions {
  readonly urdf: string;
  readonly camera: { readonly height: number; readonly width: number };
}

export class World {
  readonly arm: Arm;
  readonly #physics: Physics;
  readonly #caster: RayCaster;
  readonly #geoms: Geoms;
  readonly #rgba: Float64Array;
  readonly #joints: readonly { readonly qpos: number; readonly qvel: number }[];
  readonly #fingers: readonly { readonly qpos: number; readonly qvel: number }[];
  readonly #actuators: readonly number[];
  readonly #fingerActuators: readonly number[];
  readonly #size: { readonly height: number; readonly width: number };
  #camera: PinholeCamera;
  #light: Light = { position: [0.3, 0, 1.6], ambient: 0.5 };
  #blocks: readonly BlockColour[] = [];
  #setpoint: { position: readonly number[]; velocity: readonly number[]; age: number };

  static async create(options: WorldOptions): Promise<World> {
    const urdf = parseUrdf(options.urdf, 'built-in arm');
    const contactLinks = ['hand', 'left_finger', 'right_finger'];
    const physics = await Physics.create(mjcfFromUrdf(urdf, { timestep, contactLinks }));
    return new World(
      physics,
      armFromUrdf(urdf, { baseLink: 'base_link', tipLink: 'tcp' }),
      options,
    );
  }

  private constructor(physics: Physics, arm: Arm, options: WorldOptions) {
    this.arm = arm;
    this.#physics = physics;
    this.#size = options.camera;
    this.#caster = new RayCaster(options.camera.height, options.camera.width);
    this.#geoms = physics.geoms();
    this.#rgba = Float64Array.from(this.#geoms.rgba);
    this.#joints = arm.jointNames.map((name) => physics.joint(name));
    this.#fingers = ['left_finger_joint', 'right_finger_joint'].map((name) => physics.joint(name));
    this.#actuators = arm.jointNames.map((name) => physics.actuator(name));
    this.#fingerActuators = ['left_finger_joint', 'right_finger_joint'].map((name) =>
      physics.actuator(name),
    );
    this.#camera = cameraAt([1.04, 0, 0.62], [0.47, 0, 0.05], options.camera);
    this.#setpoint = { position: home, velocity: home.map(() => 0), age: 0 };
  }

  /** A fresh scene: three blocks, two pads, light, colours, camera and arm pose drawn from the seed. */
  reset(seed: number, variation: Variation = nominalVariation): void {
    const random = seededRandom(seed);
    this.#physics.reset();
    this.#placeObjects(random);
    this.#vary(random, variation);
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
    this.#joints.forEach((joint, i) => (qpos[joint.qpos] = position[i]!));
    for (const finger of this.#fingers) qpos[finger.qpos] = fingerTravel;
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
    for (const actuator of this.#fingerActuators) ctrl[actuator] = target;
  }

  advance(seconds: number): void {
    const steps = Math.round(seconds / timestep);
    for (let i = 0; i < steps; i++) {
      this.#applySetpoint();
      this.#physics.step();
    }
  }

  /** Position + velocity feed-forward through a position servo: kp·(q* + kv/kp·q̇* − q) − kv·q̇ = kp·(q* − q) + kv·(q̇* − q̇). */
  #applySetpoint(): void {
    const { ctrl } = this.#physics.views;
    const { position, velocity, age } = this.#setpoint;
    // Commands that come late are coasted over, then the feed-forward fades: a real servo does not brake at one missed tick.
    const fade = Math.min(1, Math.max(0, 2 - age / coastingTime));
    this.#actuators.forEach((actuator, i) => {
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
      position: this.#joints.map((joint) => qpos[joint.qpos]!),
      velocity: this.#joints.map((joint) => qvel[joint.qvel]!),
      effort: this.#joints.map((joint) => force[joint.qvel]!),
    };
  }

  /**
   * N·m the arm's servos push with at the end of the step: what the implicit integrator applied over it. The solver's own
   * figure (`joints`) is of the step's beginning, where a setpoint that has just moved on makes it several times as large.
   */
  servoEffort(): number[] {
    const { qpos, qvel, ctrl } = this.#physics.views;
    return this.#joints.map((joint, i) => {
      const { stiffness, damping, force } = armServos[i]!;
      const wanted = ctrl[this.#actuators[i]!]!;
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
      position: this.#fingers.map((finger) => qpos[finger.qpos]!),
      velocity: this.#fingers.map((finger) => qvel[finger.qvel]!),
      effort: this.#fingers.map((finger) => force[finger.qvel]!),
    };
  }

  /** Distance between the finger pads, m: 0 … 0.08. */
  gripperWidth(): number {
    const { qpos } = this.#physics.views;
    return this.#fingers.reduce((sum, finger) => sum + qpos[finger.qpos]!, 0);
  }

  state(): SceneState {
    const { xpos, xquat } = this.#physics.views;
    const tcp = forward(this.arm, this.joints().position);
    const at = (body: number): Vec3 => [xpos[3 * body]!, xpos[3 * body + 1]!, xpos[3 * body + 2]!];
    const blocks = Object.fromEntries(
      this.#blocks.map((colour) => {
        const body = this.#physics.body(`block_${colour}`);
        const [w, x, y, z] = [0, 1, 2, 3].map((i) => xquat[4 * body + i]!) as [
          number,
          number,
          number,
          number,
        ];
        const yaw = Math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z));
        return [colour, { position: at(body), yaw }];
      }),
    );
    const pads = Object.fromEntries(
      padColours.map((colour) => [colour, at(this.#physics.body(`pad_${colour}`))]),
    );
    return {
      tcp: tcp.translation,
      tcpYaw: toRpy(tcp.rotation)[2],
      gripperWidth: this.gripperWidth(),
      blocks,
      pads: pads,
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

  close(): void {
    this.#physics.close();
  }

  #geometry(): SceneGeometry {
    const { geomPosition, geomRotation } = this.#physics.views;
    const { count, type, size, bound } = this.#geoms;
    const onlyTable = new Uint8Array(count);
    onlyTable[this.#physics.geom('table')] = 1;
    return {
      count,
      type,
      size,
      bound,
      rgba: this.#rgba,
      position: geomPosition,
      rotation: geomRotation,
      checkered: onlyTable,
      shadowless: onlyTable,
    };
  }

  #placeObjects(random: Random): void {
    const order = [...blockColours];
    for (let i = order.length - 1; i > 0; i--) {
      const j = random.integer(i + 1);
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    this.#blocks = blockColours.filter((colour) => order.indexOf(colour) < blocksPerScene);
    const radii = [...padColours.map(() => 0.05), ...this.#blocks.map(() => 0.035)];
    const places = spread(random, radii);
    const { qpos, mocap } = this.#physics.views;
    padColours.forEach((_, i) => mocap.set([...places[i]!, 0.001], 3 * i));
    blockColours.forEach((colour, i) => {
      const index = this.#blocks.indexOf(colour);
      const yaw = index < 0 ? 0 : random.between(-0.6, 0.6);
      const place = places[padColours.length + index];
      const at: Vec3 =
        index < 0 ? [parked[0], 0.3 * i, parked[2]] : [place![0], place![1], blockHalf];
      qpos.set(
        [...at, Math.cos(yaw / 2), 0, 0, Math.sin(yaw / 2)],
        this.#physics.joint(`block_${colour}`).qpos,
      );
    });
  }

  #vary(random: Random, variation: Variation): void {
    const jitter = (): number => random.between(-variation.camera, variation.camera);
    this.#camera = cameraAt(
      [1.04 + jitter(), jitter(), 0.62 + jitter()],
      [0.47 + jitter() / 2, jitter() / 2, 0.05],
      this.#size,
    );
    this.#light = {
      position: [
        0.3 + random.between(-0.3, 0.3),
        random.between(-0.7, 0.7),
        random.between(1.3, 1.9),
      ],
      ambient: random.between(0.45, 0.6),
    };
    for (let g = 0; g < this.#geoms.count; g++) {
      const wide = g < 2 ? 2.5 : 1; // table and floor vary most
      for (let c = 0; c < 3; c++) {
        const nominal = this.#geoms.rgba[4 * g + c]!;
        const change = 1 + wide * random.between(-variation.colour, variation.colour);
        this.#rgba[4 * g + c] = Math.min(1, Math.max(0, nominal * change));
      }
    }
  }
}

/** Pixel of a point of the base frame. */
export function project(camera: PinholeCamera, point: Vec3): Pixel {
  const [x, y, z] = transformPoint(camera.cameraFromBase, point);
  return { x: (camera.fx * x) / z + camera.cx, y: (camera.fy * y) / z + camera.cy };
}

/** Something in the picture. */
export interface Point {
  readonly name: string;
  readonly at: Pixel;
}

/** Points that traces follow: the tool centre point and every block. */
export function pointsOf(world: World, state: SceneState): Point[] {
  const points: [string, Vec3][] = [['gripper', state.tcp]];
  for (const colour of world.blocks) points.push([colour, state.blocks[colour]!.position]);
  return points.map(([name, point]) => ({ name, at: project(world.camera, point) }));
}

/** Non-overlapping discs of the given radii in the area; starts over when it paints itself into a corner. */
function spread(random: Random, radii: readonly number[]): readonly (readonly [number, number])[] {
  for (;;) {
    const places: [number, number][] = [];
    for (const [i, radius] of radii.entries()) {
      for (let attempt = 0; attempt < 200 && places.length === i; attempt++) {
        const place: [number, number] = [random.between(...area.x), random.between(...area.y)];
        const free = places.every(
          (p, k) => Math.hypot(p[0] - place[0], p[1] - place[1]) > radius + radii[k]!,
        );
        if (free) places.push(place);
      }
    }
    if (places.length === radii.length) return places;
  }
}

function cameraAt(
  eye: Vec3,
  aim: Vec3,
  size: { readonly height: number; readonly width: number },
): PinholeCamera {
  const unit = (v: Vec3): Vec3 => {
    const n = Math.hypot(...v);
    return [v[0] / n, v[1] / n, v[2] / n];
  };
  const forwards = unit([aim[0] - eye[0], aim[1] - eye[1], aim[2] - eye[2]]);
  const right = unit([forwards[1], -forwards[0], 0]);
  const down: Vec3 = [
    forwards[1] * right[2] - forwards[2] * right[1],
    forwards[2] * right[0] - forwards[0] * right[2],
    forwards[0] * right[1] - forwards[1] * right[0],
  ];
  const baseFromCamera: Pose = {
    translation: eye,
    rotation: fromMatrix([
      right[0],
      down[0],
      forwards[0],
      right[1],
      down[1],
      forwards[1],
      right[2],
      down[2],
      forwards[2],
    ]),
  };
  const focal = size.height / 2 / Math.tan(fieldOfView / 2);
  return {
    ...size,
    fx: focal,
    fy: focal,
    cx: size.width / 2,
    cy: size.height / 2,
    cameraFromBase: invert(baseFromCamera),
  };
}
