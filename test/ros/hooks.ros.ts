/**
 * Where src/robot/ros reaches behind rclnodejs' public interface: each thing as it is expected to be. Where a new version
 * makes one of these fail, hooks.ts has to be read against it before the version is taken.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { beforeAll, expect, test } from '@jest/globals';
import { root } from './child.js';

let seen: Record<string, unknown>;

/** In a process of its own: rclnodejs cannot live in jest's realm. */
beforeAll(() => {
  const script = `
    import { createRequire } from 'node:module';
    import rcl from 'rclnodejs';
    import { loadAddon } from './dist/robot/ros/installation.js';
    const source = (Class, name) => Object.getOwnPropertyDescriptor(Class.prototype, name)?.value?.toString() ?? 'absent';
    const entry = createRequire(process.cwd() + '/x.js').resolve('rclnodejs');
    const addon = loadAddon(entry, process.env.ROS_DISTRO);
    const before = process.listenerCount('SIGINT');
    rcl.removeSignalHandlers();
    const context = new rcl.Context();
    await rcl.init(context, ['x', '--ros-args', '-p', 'a:=1', '-p', 'n:b:=[1, 2]']);
    const options = { startParameterServices: false };
    const attempt = () => { try { new rcl.Node('plain', '', context, options); return 'made'; } catch (e) { return e.message; } };
    class Hooked extends rcl.lifecycle.LifecycleNode { _getNativeParameterOverrides() { return new Map(); } }
    const node = new Hooked('hooks', '', context, options);
    const services = node._services.length;
    const label = (l) => { try { return addon.triggerLifecycleTransitionByLabel(node._stateMachineHandle, l).label; } catch (e) { return 'throws'; } };
    const seen = {
      sigint: [before, process.listenerCount('SIGINT')],
      overrides: addon.getParameterOverrides(context.handle),
      plain: attempt(),
      transitions: ['activate', 'configure', 'transition_failure', 'configure', 'transition_success', 'cleanup', 'transition_error', 'transition_success'].map(label),
      services,
      execute: source(rcl.Node, 'execute').includes('_runWithMessageType'),
      takesOne: source(rcl.Node, 'execute').includes('for (const subscription of subscriptionsReady)') && Array.isArray(node._subscriptions),
      runWith: source(rcl.Node, '_runWithMessageType'),
      init: source(rcl.Node, '_init').slice(0, 90),
      changeState: source(rcl.lifecycle.LifecycleNode, '_onChangeState').slice(0, 40),
      registered: source(rcl.lifecycle.LifecycleNode, 'init').includes('this._onChangeState(request, response)'),
      processCancel: source(rcl.ActionServer, 'processCancelRequest').replace(/\\s+/g, ' '),
      notify: source(rcl.ActionServer, 'notifyExecute').replace(/\\s+/g, ' '),
      executeGoal: source(rcl.ActionServer, '_executeGoal').slice(0, 60),
      cancel: source(rcl.ActionServer, '_executeCancelRequest').slice(0, 60),
      sendResult: source(rcl.ActionServer, '_sendResultResponse').replace(/\\s+/g, ' '),
      feedback: source(rcl.ActionClient, 'sendGoal').replace(/\\s+/g, ' ').includes('_feedbackCallbacks.set(uuid, feedbackCallback)'),
    };
    console.log('SEEN' + JSON.stringify(seen));
    rcl.shutdown(context);
    process.exit(0);
  `;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: root,
    encoding: 'utf8',
  });
  const line = /^SEEN(.*)$/m.exec(stdout);
  if (!line) throw new Error(stderr);
  seen = JSON.parse(line[1]!) as Record<string, unknown>;
});

test('the version is the one in package.json', () => {
  const wanted = JSON.parse(readFileSync(`${root}/package.json`, 'utf8'));
  const here = JSON.parse(readFileSync(`${root}/node_modules/rclnodejs/package.json`, 'utf8'));
  expect(here.version).toBe('2.2.0');
  expect(wanted.optionalDependencies.rclnodejs).toBe('2.2.0');
});

test('it takes SIGINT at import, and gives it back', () => {
  expect(seen['sigint']).toEqual([1, 0]);
});

test('the command line comes as names, types and values', () => {
  expect(seen['overrides']).toEqual([
    { name: '/**', parameters: [{ name: 'a', type: 2, value: 1 }] },
    { name: 'n', parameters: [{ name: 'b', type: 7, value: [1, 2] }] },
  ]);
});

test("the library's own reading of them still fails on integer arrays of any node", () => {
  expect(seen['plain']).toBe("Type mismatch for parameter 'b': expected 7, got object");
});

test('the native state machine takes labels, two per transition', () => {
  expect(seen['transitions']).toEqual([
    'throws',
    'configuring',
    'unconfigured',
    'configuring',
    'inactive',
    'cleaningup',
    'errorprocessing',
    'unconfigured',
  ]);
});

test('messages are taken in _runWithMessageType, called by execute', () => {
  expect(seen['execute']).toBe(true);
  // One per subscription whose handle is ready: hooks.ts takes the others.
  expect(seen['takesOne']).toBe(true);
  expect(String(seen['runWith']).replace(/\s+/g, ' ')).toBe(
    '_runWithMessageType(Type, callback) { let message = new Type(); callback(message.toRawROS(), () => { ' +
      'let result = new Type(); result.deserialize(message.refObject); return result; }); ' +
      'Type.destroyRawROS(message); }',
  );
  expect(seen['init']).toMatch(
    /^_init\(name, namespace, options, context, args, useGlobalArguments\)/,
  );
});

test('~/change_state calls _onChangeState of the instance', () => {
  expect(seen['changeState']).toMatch(/^_onChangeState\(request, response\)/);
  expect(seen['registered']).toBe(true);
  // Four of the lifecycle, one of type descriptions; none of parameters.
  expect(seen['services']).toBe(5);
});

test('actions: what runs after the call from C++ is where it was', () => {
  expect(seen['processCancel']).toBe(
    'processCancelRequest(header, request) { this._executeCancelRequest(header, request); }',
  );
  expect(seen['notify']).toBe(
    'notifyExecute(goalHandle, callback) { if (!callback && !this._callback) { return; } ' +
      'this._executeGoal(callback || this._callback, goalHandle); }',
  );
  expect(seen['executeGoal']).toMatch(/^async _executeGoal\(callback, goalHandle\)/);
  expect(seen['cancel']).toMatch(/^async _executeCancelRequest\(header, request\)/);
  expect(seen['sendResult']).toMatch(/^_sendResultResponse\(header, result\)/);
  expect(seen['feedback']).toBe(true);
});
