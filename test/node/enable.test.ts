import { describe, expect, it } from '@jest/globals';
import { Enable } from '../../src/node/enable.js';
import type { RosMessage, RosNode } from '../../src/robot/ros/ros.js';

const S = 1_000_000_000n;

function enable(config: Partial<ConstructorParameters<typeof Enable>[1]>) {
  let nowNs = 0n;
  let say: (message: RosMessage) => void = () => undefined;
  const node = {
    subscribe: (_type: string, _topic: string, _qos: unknown, onMessage: typeof say) => {
      say = onMessage;
      return { dispose: () => undefined };
    },
  } as unknown as RosNode;
  const made = new Enable(
    node,
    { topic: '/enable', type: 'bool', button: 0, timeout: 0.5, ...config },
    () => nowNs,
  );
  return { made, say: (m: RosMessage) => say(m), pass: (ns: bigint) => void (nowNs += ns) };
}

describe('consent to motion', () => {
  it('is missing before the first message, and after a silence longer than the timeout', () => {
    const { made, say, pass } = enable({});
    expect(made.objection()?.code).toBe('notEnabled');
    say({ data: true });
    pass(S / 2n);
    expect(made.objection()).toBeNull();
    pass(1n);
    expect(made.objection()?.message).toMatch(/^Nothing on \/enable for 0\.50 s/);
  });

  it.each([{ data: false }, {}, { data: 1 }, { data: 'true' }])(
    'is not given by %j',
    (message: RosMessage) => {
      const { made, say } = enable({});
      say({ data: true });
      say(message);
      expect(made.objection()?.message).toBe('Motion is not enabled on /enable.');
    },
  );

  it('is a held button of a joystick, and only that one', () => {
    const { made, say } = enable({ type: 'joy', button: 5 });
    say({ buttons: Int32Array.from([0, 0, 0, 0, 0, 1]) });
    expect(made.objection()).toBeNull();
    say({ buttons: Int32Array.from([1, 1, 1, 1, 1, 0]) });
    expect(made.objection()).not.toBeNull();
    say({ buttons: Int32Array.from([1]) });
    expect(made.objection()).not.toBeNull();
  });
});
