import { describe, expect, it } from '@jest/globals';
import {
  cartesianFindings,
  forwardFindings,
  servoUnitFindings,
  timeoutFindings,
  timeoutParameter,
  trajectoryFindings,
} from '../../../src/robot/ros/outputs/controllerRules.js';
import type { Finding } from '../../../src/robot/ros/outputs/output.js';
import type { RemoteValue } from '../../../src/robot/ros/outputs/parameters.js';
import { servoHalt } from '../../../src/robot/ros/outputs/servoStatus.js';

const given = (values: Record<string, RemoteValue>): ReadonlyMap<string, RemoteValue> =>
  new Map(Object.entries(values));
const shown = (findings: readonly Finding[]): string[] =>
  findings.map(({ severity, sentence }) => `${severity}: ${sentence}`);

/** The controller's defaults (its parameters.yaml), with what everyone sets. */
const usual = {
  joints: ['a', 'b'],
  command_interfaces: ['position'],
  state_interfaces: ['position', 'velocity'],
  allow_partial_joints_goal: false,
  interpolate_from_desired_state: true,
  interpolation_method: 'splines',
  allow_nonzero_velocity_at_trajectory_end: false,
  'speed_scaling.state_interface': '',
  'constraints.a.trajectory': 0,
};
const trajectory = (change: Record<string, RemoteValue>, joints = ['b', 'a']): string[] =>
  shown(trajectoryFindings('/arm', given({ ...usual, ...change }), joints, 0.15));

describe('joint_trajectory_controller', () => {
  it('takes the stream, whatever the order of its joints', () => {
    expect(trajectory({})).toEqual([]);
  });

  it('refuses joints it does not have', () => {
    expect(trajectory({}, ['a', 'c'])).toEqual([
      'refuse: /arm: its joints are a, b; it refuses trajectories for c.',
    ]);
    expect(shown(trajectoryFindings('/arm', given({}), ['a'], 0.15))[0]).toBe(
      'refuse: /arm: its joints are none; it refuses trajectories for a.',
    );
  });

  it('refuses some of its joints, unless it allows partial goals', () => {
    expect(trajectory({}, ['a'])).toEqual([
      'refuse: /arm: it also moves b, which robot.yaml does not name, and allow_partial_joints_goal is false.',
    ]);
    expect(trajectory({ allow_partial_joints_goal: true }, ['a'])).toEqual([
      'warn: /arm: it also moves b, which robot.yaml does not name; it holds them where they are.',
    ]);
  });

  it('is refused without interpolation: the arm would never move', () => {
    expect(trajectory({ interpolation_method: 'none' })).toEqual([
      'refuse: /arm: interpolation_method is none; a replaced trajectory is then never begun. Set it to splines.',
    ]);
  });

  it('is refused where every trajectory would start from where a lagging arm is measured', () => {
    expect(trajectory({ interpolate_from_desired_state: false })).toEqual([
      expect.stringMatching(/^refuse: \/arm: interpolate_from_desired_state is false/),
    ]);
    const open = { interpolate_from_desired_state: false, open_loop_control: true };
    expect(trajectory({ ...open, state_interfaces: ['position'] })).toEqual([]);
  });

  it('is warned of where the arm is slower, or is held earlier, than the guard thinks', () => {
    expect(
      trajectory({
        'speed_scaling.state_interface': 'speed_scaling/speed_scaling_factor',
        'constraints.a.trajectory': 0.1,
        'constraints.b.trajectory': 0.2,
      }),
    ).toEqual([
      expect.stringMatching(/^warn: \/arm: speed_scaling.state_interface is speed_scaling/),
      expect.stringMatching(/^warn: \/arm: constraints.a.trajectory is 0.1: it holds the arm/),
    ]);
  });
});

describe('a forwarding controller', () => {
  const check = (values: Record<string, RemoteValue>): string[] =>
    shown(forwardFindings('/arm', given(values), ['a', 'b'], 'position'));

  it('takes exactly the order that robot.yaml gives', () => {
    expect(check({ joints: ['a', 'b'], interface_name: 'position' })).toEqual([]);
    expect(check({ joints: ['b', 'a'], interface_name: 'position' })).toEqual([
      'refuse: /arm: its joints are b, a, in this order; command.joints says a, b.',
    ]);
    expect(check({ joints: ['a'] })).toHaveLength(1);
  });

  it('is refused where it forwards something else; one for a single quantity does not say which', () => {
    expect(check({ joints: ['a', 'b'], interface_name: 'velocity' })).toEqual([
      'refuse: /arm: interface_name is velocity, commands are position.',
    ]);
    expect(check({ joints: ['a', 'b'] })).toEqual([]);
  });
});

describe('a Cartesian controller', () => {
  it('takes targets in its own base frame only', () => {
    const parameters = given({ robot_base_link: 'base_link' });
    expect(cartesianFindings('/arm', parameters, 'base_link')).toEqual([]);
    expect(shown(cartesianFindings('/arm', parameters, 'world'))).toEqual([
      'refuse: /arm: robot_base_link is base_link; it refuses targets in world (robot.yaml).',
    ]);
  });
});

describe('the timeout that a velocity output relies on', () => {
  const setting = { node: '/servo_node', name: 'moveit_servo.incoming_command_timeout' };
  const check = (value: number): string[] =>
    shown(timeoutFindings(setting, given({ [setting.name]: value }), 0.2));

  it('is read where the setting names a node and a parameter', () => {
    expect(timeoutParameter('/servo_node moveit_servo.incoming_command_timeout')).toEqual(setting);
    expect(timeoutParameter('/servo_node: moveit_servo.incoming_command_timeout')).toEqual(setting);
    expect(timeoutParameter('watchdog of the drives')).toBeNull();
  });

  it('must exist, and be no longer than promised', () => {
    expect(check(0.1)).toEqual([]);
    expect(check(0.5)).toEqual([
      'refuse: /servo_node: moveit_servo.incoming_command_timeout is 0.5 s, command.timeout in robot.yaml promises 0.2 s.',
    ]);
    expect(check(0)).toEqual([expect.stringMatching(/^refuse: .*go on moving without commands/)]);
    expect(check(NaN)).toHaveLength(1);
    expect(timeoutFindings(setting, given({}), 0.2)).toHaveLength(1);
  });

  it('and unitless twists, which MoveIt Servo would scale, are refused', () => {
    const units = (value: string): string[] =>
      shown(servoUnitFindings(setting, given({ 'moveit_servo.command_in_type': value })));
    expect(units('speed_units')).toEqual([]);
    expect(units('unitless')).toEqual([expect.stringMatching(/^refuse: .*need speed_units/)]);
  });
});

describe('the status of MoveIt Servo', () => {
  const newer = (code: number): string | null =>
    servoHalt('moveit_msgs/msg/ServoStatus', { code, message: '' });
  const humble = (data: number): string | null => servoHalt('std_msgs/msg/Int8', { data });

  it('halts at invalid, singularity, collision and bound; slowing down is no halt', () => {
    expect([-1, 0, 1, 2, 3, 4, 5, 6].map((code) => newer(code) !== null)).toEqual([
      ...[true, false, false, true, false, false, true, true],
    ]);
    expect(newer(5)).toBe('code 5, a collision is detected');
  });

  it('has other numbers in Humble: 4 is a collision, 5 a bound, 6 slows down', () => {
    expect([-1, 0, 1, 2, 3, 4, 5, 6].map((code) => humble(code) !== null)).toEqual([
      ...[true, false, false, true, false, true, true, false],
    ]);
    expect(humble(4)).toBe('code 4, a collision is detected');
  });
});
