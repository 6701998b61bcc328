import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Disturber, disturbances } from '../../../src/robot/sim/disturb.js';
import { Driver, policyPeriod } from '../../../src/robot/sim/driver.js';
import { demonstrateSuite } from '../../../src/robot/sim/demonstrate.js';
import { expertAction } from '../../../src/robot/sim/expert.js';
import { sentencesFor, taskFor } from '../../../src/robot/sim/instructions.js';
import { Referee } from '../../../src/robot/sim/judge.js';
import { makesSense } from '../../../src/robot/sim/room.js';
import {
  longestFor,
  planOf,
  setUp,
  suiteNames,
  suites,
  type SuiteName,
} from '../../../src/robot/sim/suites.js';
import {
  blockColours,
  families,
  padColours,
  tasksOf,
  type Family,
  type SceneState,
  type Task,
} from '../../../src/robot/sim/tasks.js';
import { World } from '../../../src/robot/sim/world.js';

let world: World;
beforeAll(async () => {
  world = await World.create({
    urdf: readFileSync('config/builtin_arm.urdf', 'utf8'),
    camera: { height: 16, width: 16 },
  });
});
afterAll(() => world.close());

const plan = (suite: SuiteName, index: number, wanted = suites[suite].families) => ({
  ...planOf(suites[suite], wanted, 1001, index),
  extra: 'none' as const,
});

describe('Suites', () => {
  /** Two rounds of every family: scenes to a micrometre, pictures, tasks and sentences. */
  const fingerprint = (suite: SuiteName): string => {
    const hash = createHash('sha256');
    for (let i = 0; i < 2 * suites[suite].families.length; i++) {
      const assignment = setUp(world, plan(suite, i));
      const rounded = (_: string, v: unknown): unknown =>
        typeof v === 'number' ? Math.round(v * 1e6) : v;
      hash.update(JSON.stringify([assignment, world.state(), world.camera], rounded));
    }
    return hash.digest('hex').slice(0, 16);
  };

  it('never change: one that would is a new version', () => {
    expect(Object.fromEntries(suiteNames.map((name) => [name, suites[name].version]))).toEqual({
      ...{ core: 1, extended: 1, 'held-out': 1 },
    });
    expect(Object.fromEntries(suiteNames.map((name) => [name, fingerprint(name)]))).toEqual({
      core: 'cfb476308ccd5be5',
      extended: '07ec9c9e15984f4e',
      'held-out': '9eae12c4e610ee45',
    });
  });

  it('give the same scene for the same plan, whatever was there before', () => {
    const state = (index: number): [unknown, SceneState] => [
      setUp(world, plan('extended', index)),
      world.state(),
    ];
    const first = state(4);
    for (const other of [5, 13, 0]) state(other);
    expect(state(4)).toEqual(first);
  });

  it('hold out a camera, colours and sizes, one at a time', () => {
    const sceneries = [0, 9, 18, 27].map((i) => plan('held-out', i).scenery);
    expect(sceneries).toEqual([
      ...['heldOutCamera', 'heldOutColours', 'heldOutSizes', 'heldOutCamera'],
    ]);
    const { task } = setUp(world, plan('held-out', 9));
    expect(['orange', 'pink']).toContain(task.block);
    setUp(world, plan('held-out', 18));
    for (const { half } of Object.values(world.state().blocks))
      expect([0.016, 0.024]).toContain(half);
  });

  it('ask only for what there is room for', () => {
    for (let i = 0; i < 27; i++) {
      const { task } = setUp(world, plan('extended', i));
      expect(makesSense(task, world.state())).toBe(true);
    }
  });
});

describe('Sentences', () => {
  it('each mean one task, of every family in several forms', () => {
    const seen = new Map<string, Task>();
    for (const family of families) {
      for (const task of tasksOf(family, blockColours, padColours)) {
        const sentences = sentencesFor(task);
        expect(sentences.length).toBeGreaterThanOrEqual(3);
        for (const sentence of sentences) {
          expect(taskFor(sentence)).toEqual(task);
          expect(seen.has(sentence)).toBe(false);
          seen.set(sentence, task);
        }
      }
    }
  });

  it('that say one thing is two, or nothing known, mean none', () => {
    for (const text of [
      'stack the red block on the red block',
      'sort the red block to the teal pad and the blue block to the teal pad',
      'stack the red block on the teal pad',
      'reach above of the red block',
      'Pick the red block',
    ])
      expect(taskFor(text)).toBeNull();
  });
});

const scene: SceneState = {
  tcp: [0.45, 0, 0.2],
  tcpYaw: 0,
  gripperWidth: 0.08,
  blocks: {
    red: { position: [0.5, 0.1, 0.02], yaw: 0.2 },
    blue: { position: [0.4, -0.1, 0.02], yaw: -0.3 },
    green: { position: [0.5, 0.02, 0.02], yaw: 0 },
  },
  pads: { purple: [0.55, -0.1, 0.001], teal: [0.38, 0.12, 0.001] },
};
const withBlock = (
  colour: 'red' | 'blue' | 'green',
  position: readonly [number, number, number],
  rest: Partial<SceneState> = {},
): SceneState => ({
  ...scene,
  ...rest,
  blocks: { ...scene.blocks, [colour]: { position, yaw: 0 } },
});

describe('Judging', () => {
  const judged = (task: Task, now: SceneState): string => new Referee(task, scene).look(now, 0.02);

  it('wants a stacked block on the other one, let go of, and the hand above', () => {
    const stack: Task = { family: 'stack', block: 'red', onto: 'blue' };
    const on = withBlock('red', [0.41, -0.1, 0.06], { tcp: [0.41, -0.1, 0.12] });
    expect(judged(stack, on)).toBe('success');
    expect(judged(stack, { ...on, gripperWidth: 0.04 })).toBe('running');
    expect(judged(stack, { ...on, tcp: [0.41, -0.1, 0.09] })).toBe('running');
    expect(judged(stack, withBlock('red', [0.43, -0.1, 0.06]))).toBe('running');
    const other = withBlock('green', [0.41, -0.1, 0.06], { tcp: [0.41, -0.1, 0.12] });
    expect(judged(stack, other)).toBe('wrongObject');
  });

  it('wants both of two sorted blocks on their pads', () => {
    const sort: Task = {
      ...{ family: 'sort', block: 'red', pad: 'purple' },
      ...{ other: 'blue', otherPad: 'teal' },
    };
    const one = withBlock('red', [0.55, -0.1, 0.02]);
    const both: SceneState = {
      ...one,
      blocks: { ...one.blocks, blue: { position: [0.38, 0.12, 0.02], yaw: 0 } },
    };
    expect(judged(sort, one)).toBe('running');
    expect(judged(sort, both)).toBe('success');
    expect(judged(sort, withBlock('green', [0.55, -0.1, 0.02]))).toBe('wrongObject');
  });

  it('wants a block held up for two seconds without a break', () => {
    const up = withBlock('red', [0.5, 0.1, 0.15], { tcp: [0.5, 0.1, 0.15], gripperWidth: 0.04 });
    const referee = new Referee({ family: 'hold', block: 'red' }, scene);
    const course = [up, up, scene, up, up, up, up];
    expect(course.map((state) => referee.look(state, 0.5))).toEqual([
      ...['running', 'running', 'running', 'running', 'running', 'running', 'success'],
    ]);
  });

  it('wants the tool beside a block, low, and the block where it was', () => {
    const reach: Task = { family: 'reach', block: 'red', side: 'right' };
    const referee = (now: SceneState): string => {
      const one = new Referee(reach, scene);
      one.look(now, 0.3);
      return one.look(now, 0.3);
    };
    const beside: SceneState = { ...scene, tcp: [0.5, 0.165, 0.02] };
    expect(referee(beside)).toBe('success');
    expect(referee({ ...beside, tcp: [0.5, 0.035, 0.02] })).toBe('running');
    expect(referee({ ...beside, tcp: [0.5, 0.165, 0.1] })).toBe('running');
    expect(referee(withBlock('red', [0.5, 0.12, 0.02], { tcp: [0.5, 0.185, 0.02] }))).toBe(
      'running',
    );
  });

  it('wants a pushed block on its pad, or clear of everything, and the others left alone', () => {
    const pushTo: Task = { family: 'pushTo', block: 'red', pad: 'purple' };
    expect(judged(pushTo, withBlock('red', [0.55, -0.07, 0.02]))).toBe('success');
    expect(judged(pushTo, withBlock('red', [0.55, -0.05, 0.02]))).toBe('running');
    // Red and green are 8 cm apart at first: red must come to be 10 cm from everything.
    const clear: Task = { family: 'clear', block: 'red' };
    expect(judged(clear, scene)).toBe('running');
    expect(judged(clear, withBlock('red', [0.5, 0.13, 0.02]))).toBe('success');
    expect(judged(clear, withBlock('green', [0.5, -0.06, 0.02]))).toBe('wrongObject');
  });

  it('starts anew from where somebody else has put things', () => {
    const push: Task = { family: 'push', block: 'red', side: 'right' };
    const moved = withBlock('red', [0.5, 0.18, 0.02]);
    const referee = new Referee(push, scene);
    referee.restart(moved);
    expect(referee.look(moved, 0.02)).toBe('running');
    expect(referee.look(withBlock('red', [0.5, 0.26, 0.02]), 0.02)).toBe('success');
  });
});

describe('The expert', () => {
  const course = (family: Family, index: number): string => {
    const { task } = setUp(world, plan('extended', index, [family]));
    const referee = new Referee(task, world.state());
    const driver = new Driver(world);
    let outcome = 'running';
    for (let k = 0; k * policyPeriod < longestFor[family] && outcome === 'running'; k++) {
      const state = world.state();
      driver.drive(state, expertAction(state, task));
      outcome = referee.look(world.state(), policyPeriod);
    }
    return outcome;
  };

  it.each(families)('does what is asked for: %s', (family) => {
    expect(course(family, 0)).toBe('success');
  });

  it('labels every frame of an extended scene for all that there is room for', () => {
    const frames = [...demonstrateSuite(world, suites.extended, families, 3, 3)];
    const [first] = frames;
    expect(first!.labels.length).toBeGreaterThan(15);
    const texts = first!.labels.map(({ instruction }) => instruction);
    expect(new Set(texts).size).toBe(texts.length);
    for (const { labels, instruction } of frames) {
      expect(labels.map((label) => label.instruction)).toEqual(texts);
      expect(texts).toContain(instruction);
    }
    for (const text of texts) expect(taskFor(text)).not.toBeNull();
  });
});

describe('Disturbances', () => {
  const advanced = (disturber: Disturber, until: number): (string | null)[] => {
    const events: (string | null)[] = [];
    for (let s = 0.02; s < until; s += 0.02) {
      world.advance(0.02);
      const event = disturber.look(s, world.state());
      if (event) events.push(event.kind);
    }
    return events;
  };
  /** The episode of the core suite whose turn a kind is. */
  const disturbed = (kind: (typeof disturbances)[number]) => {
    const index = 15 + disturbances.indexOf(kind);
    const of = { ...plan('core', index), extra: 'ready' as const };
    const { task } = setUp(world, of);
    return {
      task,
      start: world.state(),
      disturber: new Disturber(world, task, of.seed, disturbances),
    };
  };

  it('happen once, each in its turn', () => {
    for (const kind of disturbances) {
      const { disturber } = disturbed(kind);
      const events = advanced(disturber, 2.6);
      expect(events).toHaveLength(1);
      expect([kind, 'bumped']).toContain(events[0]);
    }
  });

  it('move the block of the task by 5 to 8 cm, to where the task still makes sense', () => {
    const { disturber, task, start } = disturbed('moved');
    expect(advanced(disturber, 2.6)).toEqual(['moved']);
    const [was, at] = [start, world.state()].map(({ blocks }) => blocks[task.block]!.position);
    const distance = Math.hypot(at![0] - was![0], at![1] - was![1]);
    expect(distance).toBeGreaterThan(0.045);
    expect(distance).toBeLessThan(0.085);
    expect(makesSense(task, world.state())).toBe(true);
  });

  it('bump the hand by millimetres, and the servos bring it back', () => {
    const { disturber, start } = disturbed('bumped');
    let furthest = 0;
    for (let s = 0.02; s < 4; s += 0.02) {
      world.advance(0.02);
      disturber.look(s, world.state());
      const { tcp } = world.state();
      furthest = Math.max(furthest, Math.hypot(...tcp.map((v, i) => v - start.tcp[i]!)));
    }
    expect(furthest).toBeGreaterThan(0.001);
    expect(furthest).toBeLessThan(0.05);
    world.state().tcp.forEach((v, i) => expect(v).toBeCloseTo(start.tcp[i]!, 3));
  });

  it('blind the camera for half a second', () => {
    for (const kind of ['black', 'frozen'] as const) {
      const { disturber, start } = disturbed(kind);
      expect(disturber.blindAt(1)).toBeNull();
      let begun = 0;
      for (let s = 0.02; s < 3; s += 0.02) if (disturber.look(s, start)) begun = s;
      expect(disturber.blindAt(begun + 0.49)).toBe(kind);
      expect(disturber.blindAt(begun + 0.51)).toBeNull();
    }
  });
});
