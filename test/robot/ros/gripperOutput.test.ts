import { describe, expect, it } from '@jest/globals';
import type { GripperLink } from '../../../src/robot/ros/outputs/gripperLink.js';
import { GripperOutput } from '../../../src/robot/ros/outputs/gripperOutput.js';

const MS = 1_000_000n;

/** A gripper that does what the test says, when the test says it. */
class Link implements GripperLink {
  readonly moves: number[] = [];
  interrupts = 0;
  absence: string | null = null;
  finish: (refused: string | null) => void = () => undefined;

  missing(): string | null {
    return this.absence;
  }
  move(position: number): Promise<string | null> {
    this.moves.push(position);
    return new Promise((resolve) => (this.finish = resolve));
  }
  interrupt(): void {
    this.interrupts++;
  }
  check(): Promise<[]> {
    return Promise.resolve([]);
  }
  dispose(): void {
    this.absence = 'disposed of';
  }
}

function bench(): { link: Link; gripper: GripperOutput; end: (refused?: string) => Promise<void> } {
  const link = new Link();
  const gripper = new GripperOutput(link, { closed: 0.8, open: 0 }, 0.2);
  const end = async (refused: string | null = null): Promise<void> => {
    link.finish(refused);
    await new Promise(setImmediate);
  };
  return { link, gripper, end };
}

describe('the end of a task', () => {
  it('leaves nothing of it to be sent later, and lets what is under way go on', async () => {
    const { link, gripper, end } = bench();
    gripper.want(0);
    gripper.tick(0n);
    // Opening waits for the closing to end.
    gripper.want(1);
    gripper.drop();
    gripper.tick(50n * MS);
    await end();
    gripper.tick(300n * MS);
    expect(link).toMatchObject({ moves: [0.8], interrupts: 0 });
    gripper.want(1);
    gripper.tick(320n * MS);
    expect(link.moves).toEqual([0.8, 0]);
  });
});

describe('a stop', () => {
  it('leaves nothing to be sent later: neither what waits for the interval nor for the gripper', async () => {
    const { link, gripper, end } = bench();
    gripper.want(0);
    gripper.tick(0n);
    await end();
    gripper.want(1);
    gripper.tick(50n * MS);
    gripper.hold(60n * MS);
    gripper.tick(300n * MS);
    link.absence = 'action /gripper has no server';
    gripper.want(1);
    gripper.tick(320n * MS);
    gripper.hold(340n * MS);
    link.absence = null;
    gripper.tick(30_000n * MS);
    expect(link.moves).toEqual([0.8]);
  });

  it('ends an opening under way, once, and the next wish is sent even where it is the same', async () => {
    const { link, gripper, end } = bench();
    gripper.want(1);
    gripper.tick(0n);
    for (const at of [20n, 40n, 60n]) {
      gripper.hold(at * MS);
      gripper.tick(at * MS);
    }
    expect([link.moves, link.interrupts]).toEqual([[0], 1]);
    await end('cancelled');
    expect(gripper.problem()).toBeNull();
    gripper.want(1);
    gripper.tick(300n * MS);
    expect([link.moves, link.interrupts]).toEqual([[0, 0], 1]);
  });

  it('lets a closing under way go on, and wishing for it anew does not let go of it', async () => {
    const { link, gripper, end } = bench();
    gripper.want(0);
    gripper.tick(0n);
    gripper.hold(20n * MS);
    gripper.want(0);
    gripper.tick(300n * MS);
    gripper.hold(320n * MS);
    expect([link.moves, link.interrupts]).toEqual([[0.8], 0]);
    await end();
    gripper.want(0);
    gripper.tick(600n * MS);
    expect(link.moves).toEqual([0.8, 0.8]);
  });

  it('drops the wish for which a closing was already asked to end', async () => {
    const { link, gripper, end } = bench();
    gripper.want(0);
    gripper.tick(0n);
    gripper.want(1);
    gripper.tick(300n * MS);
    gripper.hold(320n * MS);
    await end('cancelled');
    gripper.tick(340n * MS);
    expect([link.moves, link.interrupts]).toEqual([[0.8], 1]);
  });
});

describe('openings for a gripper', () => {
  it('become positions, once per change: closed is 0.8, open is 0', async () => {
    const { link, gripper, end } = bench();
    for (const [opening, at] of [
      [0, 0n],
      [0, 300n],
      [1, 600n],
      [1, 900n],
      [0.25, 1200n],
    ] as const) {
      gripper.want(opening);
      gripper.tick(at * MS);
      await end();
    }
    expect(link.moves).toEqual([0.8, 0, 0.6000000000000001]);
  });

  it('wait for the interval between two commands', async () => {
    const { link, gripper, end } = bench();
    gripper.want(0);
    gripper.tick(0n);
    await end();
    gripper.want(1);
    gripper.tick(199n * MS);
    expect(link.moves).toEqual([0.8]);
    gripper.tick(200n * MS);
    expect(link.moves).toEqual([0.8, 0]);
  });

  it('replace what is under way: it is asked to end once, and the newest wish follows', async () => {
    const { link, gripper, end } = bench();
    gripper.want(0);
    gripper.tick(0n);
    gripper.want(0.5);
    gripper.tick(300n * MS);
    gripper.want(1);
    gripper.tick(320n * MS);
    expect([link.moves, link.interrupts]).toEqual([[0.8], 1]);
    await end('cancelled');
    gripper.tick(340n * MS);
    expect(link.moves).toEqual([0.8, 0]);
    expect(gripper.problem()).toBeNull();
  });

  it('are sent again where the same was on its way and has been asked to end: close, open, close', async () => {
    const { link, gripper, end } = bench();
    gripper.want(0);
    gripper.tick(0n);
    gripper.want(1);
    gripper.tick(300n * MS);
    gripper.want(0);
    gripper.tick(320n * MS);
    expect(link.moves).toEqual([0.8]);
    await end('cancelled');
    gripper.tick(340n * MS);
    expect([link.moves, link.interrupts]).toEqual([[0.8, 0.8], 1]);
  });

  it('do not wait for ever for a gripper that does not end', () => {
    const { link, gripper } = bench();
    gripper.want(0);
    gripper.tick(0n);
    gripper.want(1);
    gripper.tick(300n * MS);
    gripper.tick(1300n * MS);
    expect(link.moves).toEqual([0.8]);
    gripper.tick(1301n * MS);
    expect(link.moves).toEqual([0.8, 0]);
  });

  it('that are refused are told, and not sent again until another is wanted', async () => {
    const { link, gripper, end } = bench();
    gripper.want(0);
    gripper.tick(0n);
    await end('refused');
    gripper.want(0);
    gripper.tick(500n * MS);
    expect(link.moves).toEqual([0.8]);
    expect(gripper.problem()).toEqual({
      code: 'commandRefused',
      message: 'The gripper: refused.',
    });
    gripper.want(1);
    gripper.tick(700n * MS);
    await end();
    expect(gripper.problem()).toBeNull();
  });

  it('find nobody, and say so; a new stream begins without what was before', () => {
    const { link, gripper } = bench();
    link.absence = 'action /gripper has no server';
    gripper.want(0);
    gripper.tick(0n);
    expect(gripper.problem()).toEqual({
      code: 'outputGone',
      message: 'The gripper: action /gripper has no server.',
    });
    gripper.begin();
    link.absence = null;
    gripper.tick(500n * MS);
    expect([gripper.problem(), link.moves]).toEqual([null, []]);
    gripper.want(0);
    gripper.tick(500n * MS);
    expect(link.moves).toEqual([0.8]);
  });
});
