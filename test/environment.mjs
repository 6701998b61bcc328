// Jest runs tests in a VM realm with its own typed arrays; onnxruntime-node checks `instanceof` against the outer
// realm's and refuses them. This environment hands the outer realm's typed arrays to the tests.
import NodeEnvironment from 'jest-environment-node';

const shared = [
  'ArrayBuffer',
  'SharedArrayBuffer',
  'DataView',
  'Int8Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
];

export default class Environment extends (NodeEnvironment.TestEnvironment ??
  NodeEnvironment.default ??
  NodeEnvironment) {
  constructor(config, context) {
    super(config, context);
    for (const name of shared) this.global[name] = globalThis[name];
  }
}
