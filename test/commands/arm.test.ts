import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { readArm } from '../../src/commands/arm.js';
import { testConfig } from '../support/controlRobot.js';
import { armUrdf } from '../support/testArms.js';

/** The test arm, its elbow a mesh. */
function withMesh(): string {
  const folder = mkdtempSync(join(tmpdir(), 'arm-'));
  const [before, after] = armUrdf(6).split('<link name="elbow">') as [string, string];
  const elbow = after.replace(/<cylinder[^>]*>/, '<mesh filename="elbow.stl"/>');
  writeFileSync(join(folder, 'mesh.urdf'), `${before}<link name="elbow">${elbow}`);
  return join(folder, 'mesh.urdf');
}

describe('the description of an arm', () => {
  const description = { urdf: withMesh(), baseLink: 'base', tipLink: 'tip' };

  it('is refused where joints are commanded and a link has no shape but a mesh', () => {
    expect(() => readArm(testConfig({ description }))).toThrow(
      'description.urdf: got no shape, or only a mesh, for elbow, expected a primitive collision shape for every link',
    );
  });

  it('is a file where no node reads the topic, and how to make one is said', () => {
    const ofTopic = { baseLink: 'base', tipLink: 'tip' };
    expect(() => readArm(testConfig({ description: ofTopic }))).toThrow(
      /^robot\.yaml: description\.urdf: got nothing, expected a file: .*robot_description > arm\.urdf/,
    );
  });

  it('is taken where the tool is commanded: links are not guarded then, and the guard says so', () => {
    const read = readArm(testConfig({ description, output: 'pose' }));
    expect(read?.capsules.uncovered).toEqual(['elbow']);
  });
});
