import { describe, expect, it } from '@jest/globals';
import { gripperAsItIs, JogPolicy } from '../../src/control/jogPolicy.js';
import type { Observation } from '../../src/types.js';

const jog = {
  delta: { translation: [0.01, 0, 0], rotation: [0, 0, 0], gripper: gripperAsItIs },
  durationNs: 2_000_000_000n,
} as const;
const observed = (episode: number): Observation => ({
  ...{ stampNs: 7n, episode, instruction: 'jog', images: {} },
  ...{ joints: null, endEffector: null, gripper: null },
});
const answers = async (policy: JogPolicy, episode: number) =>
  (await policy.requestAction(observed(episode))).ok;

describe('a jog', () => {
  it('is answered once, as it was agreed to', async () => {
    const policy = new JogPolicy('base_link');
    policy.agree(jog, 3);
    const answer = await policy.requestAction(observed(3));
    expect(answer).toMatchObject({
      ok: true,
      value: {
        ...{ observationStampNs: 7n, episode: 3 },
        chunk: {
          ...{ kind: 'endEffectorDelta', reference: 'lastTarget', composition: 'base' },
          ...{ frameId: 'base_link', stepPeriodNs: 2_000_000_000n, steps: [jog.delta] },
        },
      },
    });
    expect(await answers(policy, 3)).toBe(false);
  });

  it('that nobody agreed to is refused', async () => {
    expect(await answers(new JogPolicy('base_link'), 0)).toBe(false);
  });

  it('of another episode is not made in this one', async () => {
    const policy = new JogPolicy('base_link');
    policy.agree(jog, 3);
    expect(await answers(policy, 4)).toBe(false);
    policy.reset(4);
    expect(await answers(policy, 3)).toBe(false);
  });

  it('stays agreed to when its own episode begins', async () => {
    const policy = new JogPolicy('base_link');
    policy.agree(jog, 3);
    policy.reset(3);
    expect(await answers(policy, 3)).toBe(true);
  });

  it('that is withdrawn is not made', async () => {
    const policy = new JogPolicy('base_link');
    policy.agree(jog, 3);
    policy.withdraw();
    expect(policy.isPending).toBe(false);
    expect(await answers(policy, 3)).toBe(false);
  });
});
