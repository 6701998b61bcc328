import base from './jest.config.mjs';

/** Tests that need a Vulkan, Direct3D 12 or Metal device; a software one is enough, and slow. */
export default { ...base, testMatch: ['**/*.webgpu.ts'], testTimeout: 900_000 };
