/** The simulation's thread: one world, requests answered in order. */
import { parentPort, workerData } from 'node:worker_threads';
import { seededRandom } from '../../math/random.js';
import type { SimReply, SimRequest } from './protocol.js';
import { RayCaster } from './rayCaster.js';
import { families, judge, padColours, randomTask, type SceneState, type Task } from './tasks.js';
import { pointsOf, World, type WorldOptions } from './world.js';

export interface SimWorkerData {
  readonly world: WorldOptions;
  readonly cameraPeriodNs: bigint;
}

const { world: options, cameraPeriodNs } = workerData as SimWorkerData;
const world = await World.create(options);
let stampNs = 1_000_000_000n;
let nextImageNs = stampNs;
let task: Task = { family: 'pick', block: 'red' };
let start: SceneState = world.state();

parentPort!.on('message', (request: SimRequest) => {
  let reply: SimReply;
  try {
    reply = answer(request);
  } catch (error) {
    reply = { kind: 'failed', message: error instanceof Error ? error.message : String(error) };
  }
  parentPort!.postMessage(reply);
});

function answer(request: SimRequest): SimReply {
  switch (request.kind) {
    case 'reset':
      return reset(request);
    case 'advance':
      return advance(request);
    case 'picture': {
      const { height, width } = request;
      return {
        kind: 'picture',
        image: world.renderAt(new RayCaster(height, width), { height, width }),
      };
    }
  }
}

/** A scene from the seed; its task too, unless one is given. Time goes on: a second passes between episodes. */
function reset({ seed, task: given, family }: Extract<SimRequest, { kind: 'reset' }>): SimReply {
  const random = seededRandom(seed);
  world.reset(random.integer(2 ** 31));
  task = given ?? randomTask(random, family ?? random.pick(families), world.blocks, padColours);
  start = world.state();
  stampNs += 1_000_000_000n;
  nextImageNs = stampNs;
  return { kind: 'reset', task, stampNs };
}

function advance({ durationNs, command }: Extract<SimRequest, { kind: 'advance' }>): SimReply {
  if (command) {
    world.command(command.position, command.velocity);
    if (command.gripper !== null) world.grip(command.gripper);
  }
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
