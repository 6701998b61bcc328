import unit from './jest.config.mjs';

/** Tests that talk to a real ROS 2: `npm run test:ros`. One at a time: they share the machine's ROS graph. */
export default {
  ...unit,
  roots: ['<rootDir>/test/ros'],
  testMatch: ['**/*.ros.ts'],
  maxWorkers: 1,
  testTimeout: 60000,
};
