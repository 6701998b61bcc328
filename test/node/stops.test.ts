import { describe, expect, it } from '@jest/globals';
import { asGuardReason, Stops } from '../../src/node/stops.js';

describe('what stops the arm from outside control', () => {
  it('a source objects for as long as it is watched and says so', () => {
    const stops = new Stops();
    let enabled = false;
    const forget = stops.watch(() =>
      enabled ? null : { code: 'notEnabled', message: 'nobody enables motion' },
    );
    expect(stops.holds()).toEqual([{ code: 'notEnabled', message: 'nobody enables motion' }]);
    expect(stops.objection()?.code).toBe('notEnabled');
    enabled = true;
    expect(stops.holds()).toEqual([]);
    expect(stops.objection()).toBeNull();
    enabled = false;
    forget();
    expect(stops.holds()).toEqual([]);
  });

  it('a source that throws is an objection, and does not hide the others', () => {
    const stops = new Stops();
    stops.watch(() => {
      throw new Error('the graph is gone');
    });
    stops.watch(() => ({ code: 'clockSilent', message: 'no clock' }));
    expect(stops.holds()).toEqual([
      {
        code: 'controlFailed',
        message: 'What watches the robot failed: the graph is gone.',
      },
      { code: 'clockSilent', message: 'no clock' },
    ]);
  });

  it("an operator's stop is handed to every guard until it is forgotten; the first reason is kept", () => {
    const stops = new Stops();
    stops.stop({ code: 'operatorStop', message: 'first' });
    stops.stop({ code: 'clockJump', message: 'second' });
    expect(stops.latched?.message).toBe('first');
    expect(stops.holds().map(({ message }) => message)).toEqual(['first']);
    stops.forget();
    expect(stops.latched).toBeNull();
    expect(stops.holds()).toEqual([]);
  });

  it("a guard's own latch is remembered, and does not become another one", () => {
    const stops = new Stops();
    stops.remember(null);
    expect(stops.latched).toBeNull();
    stops.remember({ code: 'trackingError', message: 'the arm is elsewhere' });
    stops.remember({ code: 'tickGap', message: 'later' });
    expect(stops.latched?.code).toBe('trackingError');
    expect(stops.holds()).toEqual([]);
  });

  it('what the guard has no name for is a refusal of the layer below', () => {
    expect(asGuardReason({ code: 'outputGone', message: 'm' }).code).toBe('outputGone');
    expect(asGuardReason({ code: 'servoHalt', message: 'm' })).toEqual({
      code: 'commandRefused',
      message: 'm',
    });
  });
});
