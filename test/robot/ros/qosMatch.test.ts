import { describe, expect, it } from '@jest/globals';
import { deaf, qosMismatch, unheard } from '../../../src/robot/ros/qosMatch.js';
import { Rate } from '../../../src/robot/ros/rate.js';
import { qos, type Qos } from '../../../src/robot/ros/ros.js';

const bestEffort: Qos = { reliability: 'bestEffort', durability: 'volatile', depth: 1 };
const reliable: Qos = { ...bestEffort, reliability: 'reliable' };
const latched: Qos = { ...reliable, durability: 'transientLocal' };

describe('offered and requested quality of service', () => {
  it('connect where the publisher offers at least what is asked for', () => {
    expect(qosMismatch(reliable, bestEffort)).toBeNull();
    expect(qosMismatch(latched, reliable)).toBeNull();
    expect(qosMismatch(bestEffort, bestEffort)).toBeNull();
    expect(qosMismatch(bestEffort, reliable)).toBe('publishes best effort, reliable is asked for');
    expect(qosMismatch(reliable, latched)).toBe('publishes volatile, transient local is asked for');
  });

  it('and types are told as one sentence, from either end', () => {
    const camera = { node: '/camera', type: 'sensor_msgs/msg/Image', qos: bestEffort };
    expect(unheard(camera, 'sensor_msgs/msg/Image', qos.sensorData)).toBeNull();
    expect(unheard(camera, 'sensor_msgs/msg/Image', qos.state)).toBe(
      '/camera publishes best effort, reliable is asked for: set qos in robot.yaml',
    );
    expect(unheard(camera, 'sensor_msgs/msg/CompressedImage', qos.sensorData)).toBe(
      '/camera publishes sensor_msgs/msg/Image, not sensor_msgs/msg/CompressedImage',
    );
    const controller = { node: '/arm', type: 'std_msgs/msg/Float64MultiArray', qos: latched };
    expect(deaf(controller, 'std_msgs/msg/Float64MultiArray', qos.command)).toBe(
      '/arm is not connected: this node publishes volatile, transient local is asked for',
    );
  });
});

describe('a rate', () => {
  it('is that of the last arrivals, and falls while nothing comes', () => {
    const rate = new Rate();
    expect(rate.hz(0n)).toBe(0);
    for (let i = 0n; i < 100n; i++) rate.add(i * 10_000_000n);
    expect(rate.hz(1_000_000_000n)).toBeCloseTo(100, 9);
    expect(rate.hz(1_990_000_000n)).toBeCloseTo(1, 9);
  });
});
