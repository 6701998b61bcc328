import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { armFromUrdf, forward } from '../../../src/arm/kinematics.js';
import { parseUrdf } from '../../../src/arm/urdf.js';
import { seededRandom } from '../../../src/math/random.js';
import { Physics } from '../../../src/robot/sim/physics.js';
import { mjcfFromUrdf } from '../../../src/robot/sim/scene.js';
import { project } from '../../../src/robot/sim/view.js';
import { World } from '../../../src/robot/sim/world.js';

const xml = readFileSync('config/builtin_arm.urdf', 'utf8');
const camera = { height: 128, width: 128 };

describe('The scene generated from the URDF', () => {
  it("puts the tool where the node's forward kinematics puts it, to 1e-9", async () => {
    const urdf = parseUrdf(xml, 'builtin_arm.urdf');
    const arm = armFromUrdf(urdf, { baseLink: 'base_link', tipLink: 'tcp' });
    const physics = await Physics.create(mjcfFromUrdf(urdf, { timestep: 0.002, contactLinks: [] }));
    const tcp = physics.body('tcp');
    const random = seededRandom(3);
    for (let i = 0; i < 200; i++) {
      const q = arm.lower.map((low, j) => random.between(low, arm.upper[j]!));
      arm.jointNames.forEach((name, j) => (physics.views.qpos[physics.joint(name).qpos] = q[j]!));
      physics.forward();
      const { xpos, xquat } = physics.views;
      const { translation, rotation } = forward(arm, q);
      for (let a = 0; a < 3; a++)
        expect(Math.abs(xpos[3 * tcp + a]! - translation[a]!)).toBeLessThan(1e-9);
      const [w, x, y, z] = xquat.subarray(4 * tcp, 4 * tcp + 4);
      const same = Math.abs(
        w! * rotation[3] + x! * rotation[0] + y! * rotation[1] + z! * rotation[2],
      );
      expect(Math.abs(same - 1)).toBeLessThan(1e-9);
    }
    physics.close();
  });
});

describe('A simulated world', () => {
  let world: World;
  beforeAll(async () => {
    world = await World.create({ urdf: xml, camera });
  });
  afterAll(() => world.close());

  const fingerprint = (seed: number): string => {
    world.reset(seed);
    const { position } = world.joints();
    world.command(
      position.map((q) => q + 0.02),
      position.map(() => 0),
    );
    world.advance(0.3);
    const hash = createHash('sha256').update(world.render().data);
    return hash.update(JSON.stringify([world.joints(), world.state()])).digest('hex');
  };

  it('gives the same bits for the same seed, whatever ran before', () => {
    const first = fingerprint(11);
    expect(fingerprint(12)).not.toBe(first);
    expect(fingerprint(11)).toBe(first);
  });

  it('follows a joint command to within a milliradian', () => {
    world.reset(5);
    const goal = world.joints().position.map((q, i) => q + (i % 2 ? 0.05 : -0.05));
    const from = world.joints().position;
    for (let k = 1; k <= 25; k++) {
      world.command(
        from.map((q, i) => q + ((goal[i]! - q) * k) / 25),
        from.map(() => 0),
      );
      world.advance(0.02);
    }
    world.advance(0.5);
    world.joints().position.forEach((q, i) => expect(Math.abs(q - goal[i]!)).toBeLessThan(1e-3));
  });

  it('starts every scene with three blocks and two pads apart from each other, all in the picture', () => {
    for (let seed = 0; seed < 40; seed++) {
      world.reset(seed);
      const { blocks, pads } = world.state();
      const places = [
        ...Object.values(blocks).map(({ position }) => position),
        ...Object.values(pads),
      ];
      expect(places).toHaveLength(5);
      places.forEach((a, i) => {
        for (const b of places.slice(0, i))
          expect(Math.hypot(a[0] - b[0], a[1] - b[1])).toBeGreaterThan(0.06);
        const { x, y } = project(world.camera, a);
        expect(Math.min(x, y, 128 - x, 128 - y)).toBeGreaterThan(0);
      });
    }
  });

  it('draws a block where the camera projects it', () => {
    world.reset(2);
    const { blocks } = world.state();
    const image = world.render();
    const top = blocks.red ?? blocks.green ?? blocks.blue!;
    const { x, y } = project(world.camera, [top.position[0], top.position[1], 0.04]);
    const at = 3 * (Math.floor(y) * 128 + Math.floor(x));
    const [r, g, b] = image.data.subarray(at, at + 3);
    const dominant = Math.max(r!, g!, b!);
    expect([r, g, b].indexOf(dominant)).toBe(blocks.red ? 0 : blocks.green ? 1 : 2);
    expect(dominant).toBeGreaterThan(1.5 * [r!, g!, b!].sort((p, q) => p - q)[1]!);
  });
});
