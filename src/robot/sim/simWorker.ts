/** The simulation's thread: one world, requests answered in order. */
import { messageOf } from '../../errors.js';
import { parentPort, workerData } from 'node:worker_threads';
import { seededRandom } from '../../math/random.js';
import type { ServoCommand, SimReply, SimRequest, StepReading } from './protocol.js';
import { RayCaster } from './rayCaster.js';
import {
  families,
  judge,
  padColours,
  randomTask,
  type Outcome,
  type SceneState,
  type Task,
} from './tasks.js';
import { pointsOf, timestep, World, type WorldOptions } from './world.js';

export interface SimWorkerData {
  readonly world: WorldOptions;
  readonly cameraPeriodNs: bigint;
}

const stepNs = BigInt(Math.round(timestep * 1e9));
/** Steps between two judgements: as often as a control loop of 50 Hz has them made. */
const judgedEvery = 8;

const { world: options, cameraPeriodNs } = workerData as SimWorkerData;
const world = await World.create(options);
let stampNs = 1_000_000_000n;
let nextImageNs = stampNs;
let task: Task = { family: 'pick', block: 'red' };
let start: SceneState = world.state();
let outcome: Outcome = 'running';
let stepsTaken = 0;

parentPort!.on('message', (request: SimRequest) => {
  let reply: SimReply;
  try {
    reply = answer(request);
  } catch (error) {
    reply = { kind: 'failed', message: messageOf(error) };
  }
  parentPort!.postMessage(reply);
});

function answer(request: SimRequest): SimReply {
  switch (request.kind) {
    case 'reset':
      return reset(request);
    case 'advance':
      return advance(request);
    case 'step':
      return step(request);
    case 'picture': {
      const { height, width } = request;
      return {
        kind: 'picture',
        image: world.renderAt(new RayCaster(height, width), { height, width }),
      };
    }
  }
}

/** A scene from the seed; its task too, unless one is given. Time goes on, by `pauseNs`. */
function reset(request: Extract<SimRequest, { kind: 'reset' }>): SimReply {
  const { seed, task: given, family, pauseNs } = request;
  const random = seededRandom(seed);
  world.reset(random.integer(2 ** 31));
  task = given ?? randomTask(random, family ?? random.pick(families), world.blocks, padColours);
  start = world.state();
  stampNs += pauseNs;
  nextImageNs = stampNs;
  outcome = 'running';
  stepsTaken = 0;
  return { kind: 'reset', task, stampNs, reading: reading(), camera: world.camera };
}

function advance({ durationNs, command }: Extract<SimRequest, { kind: 'advance' }>): SimReply {
  if (command) follow(command);
  world.advance(Number(durationNs) / 1e9);
  stampNs += durationNs;
  const joints = world.joints();
  const due = stampNs >= nextImageNs;
  if (due) nextImageNs += cameraPeriodNs;
  const state = world.state();
  return {
    kind: 'advanced',
    stampNs,
    joints,
    gripperWidth: world.gripperWidth(),
    image: due ? photograph() : null,
    frame: due ? { stampNs, state, camera: world.camera, points: pointsOf(world, state) } : null,
    outcome: judge(task, start, state),
  };
}

/** A picture that falls due is taken after its step; a second one within the request waits for the next request. */
function step({ commands }: Extract<SimRequest, { kind: 'step' }>): SimReply {
  let image: ReturnType<typeof photograph> | null = null;
  const readings = commands.map((command) => {
    follow(command);
    world.advance(timestep);
    stampNs += stepNs;
    stepsTaken++;
    if (outcome === 'running' && stepsTaken % judgedEvery === 0)
      outcome = judge(task, start, world.state());
    if (!image && stampNs >= nextImageNs) {
      image = photograph();
      while (nextImageNs <= stampNs) nextImageNs += cameraPeriodNs;
    }
    return reading();
  });
  return { kind: 'stepped', readings, image, outcome };
}

function follow(command: ServoCommand): void {
  world.command(command.position, command.velocity);
  if (command.gripper !== null) world.grip(command.gripper);
}

function reading(): StepReading {
  const joints = { ...world.joints(), effort: world.servoEffort() };
  return { stampNs, joints, fingers: world.fingers() };
}

function photograph() {
  const { height, width, data } = world.render();
  return {
    kind: 'raw',
    stampNs,
    frameId: 'front_optical',
    height,
    width,
    encoding: 'rgb8',
    step: 3 * width,
    isBigEndian: false,
    data,
  } as const;
}
