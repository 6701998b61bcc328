/** The simulation's thread: one world, requests answered in order. */
import { messageOf } from '../../errors.js';
import { parentPort, workerData } from 'node:worker_threads';
import { Disturber, type DisturbanceEvent } from './disturb.js';
import { Referee, type Outcome } from './judge.js';
import type { Frame, ServoCommand, SimReply, SimRequest, StepReading } from './protocol.js';
import { RayCaster } from './rayCaster.js';
import { timestep } from './stage.js';
import { setUp } from './suites.js';
import type { SceneState } from './tasks.js';
import { pointsOf } from './view.js';
import { World, type WorldOptions } from './world.js';

export interface SimWorkerData {
  readonly world: WorldOptions;
  readonly cameraPeriodNs: bigint;
}

const stepNs = BigInt(Math.round(timestep * 1e9));
/** Steps between two judgements: as often as a control loop of 50 Hz has them made. */
const judgedEvery = 8;

const { world: options, cameraPeriodNs } = workerData as SimWorkerData;
const world = await World.create(options);
warmUp();
let stampNs = 1_000_000_000n;
let nextImageNs = stampNs;
let startNs = stampNs;
let referee = new Referee({ family: 'pick', block: 'red' }, world.state());
let disturber: Disturber | null = null;
/** What the camera gave last. */
let seen: { readonly state: SceneState; readonly data: Uint8Array } | null = null;
let outcome: Outcome = 'running';
let stepsTaken = 0;

/** The first pictures of a process take ten times as long as all others: taken before anybody waits for one. */
function warmUp(): void {
  world.reset(0);
  for (let i = 0; i < 4; i++) world.render();
}

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

/** Scene and task from the plan. Time goes on, by `pauseNs`. */
function reset(request: Extract<SimRequest, { kind: 'reset' }>): SimReply {
  const { plan, disturbances, pauseNs } = request;
  const extra = disturbances.includes('obstacle') ? 'ready' : 'none';
  const assignment = setUp(world, { ...plan, extra });
  referee = new Referee(assignment.task, world.state());
  disturber =
    disturbances.length === 0
      ? null
      : new Disturber(world, assignment.task, plan.seed, disturbances);
  stampNs += pauseNs;
  startNs = stampNs;
  nextImageNs = stampNs;
  outcome = 'running';
  stepsTaken = 0;
  seen = null;
  return { kind: 'reset', ...assignment, stampNs, reading: reading(), camera: world.camera };
}

function advance({ durationNs, command }: Extract<SimRequest, { kind: 'advance' }>): SimReply {
  if (command) follow(command);
  const seconds = Number(durationNs) / 1e9;
  world.advance(seconds);
  stampNs += durationNs;
  const joints = world.joints();
  const due = stampNs >= nextImageNs;
  if (due) nextImageNs += cameraPeriodNs;
  const { state, disturbed } = disturb();
  const shown = due ? show(state) : null;
  return {
    kind: 'advanced',
    stampNs,
    joints,
    gripperWidth: world.gripperWidth(),
    image: shown?.image ?? null,
    frame: shown?.frame ?? null,
    outcome: referee.look(state, seconds),
    disturbed,
  };
}

function disturb(): { readonly state: SceneState; readonly disturbed: DisturbanceEvent | null } {
  const before = world.state();
  const disturbed = disturber?.look(Number(stampNs - startNs) / 1e9, before) ?? null;
  if (disturbed?.kind !== 'moved') return { state: before, disturbed };
  const state = world.state();
  referee.restart(state);
  return { state, disturbed };
}

/** What the camera gives, and what it is a picture of. */
function show(state: SceneState) {
  const blind = disturber?.blindAt(Number(stampNs - startNs) / 1e9) ?? null;
  const { tcp, tcpYaw, gripperWidth } = state;
  const truth = { stampNs, camera: world.camera, points: pointsOf(world, state) };
  if (blind === 'frozen' && seen) {
    const frame: Frame = {
      ...{ ...truth, shows: 'earlier' },
      state: { ...seen.state, tcp, tcpYaw, gripperWidth },
    };
    return { image: photograph(seen.data), frame };
  }
  const rendered = world.render().data;
  if (blind === 'black') {
    const frame: Frame = { ...truth, shows: 'nothing', state };
    return { image: photograph(new Uint8Array(rendered.length)), frame };
  }
  seen = { state, data: rendered };
  const frame: Frame = { ...truth, shows: 'scene', state };
  return { image: photograph(rendered), frame };
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
      outcome = referee.look(world.state(), judgedEvery * timestep);
    if (!image && stampNs >= nextImageNs) {
      image = photograph(world.render().data);
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

function photograph(data: Uint8Array) {
  const { height, width } = options.camera;
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
