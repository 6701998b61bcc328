import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { checkFiles } from '../../src/commands/checkFiles.js';
import { agreeingDialogue, CheckEnded, isYes } from '../../src/commands/checkDialogue.js';
import { CheckReport, checkTable } from '../../src/commands/checkResult.js';
import { thumbnailName } from '../../src/commands/checkInputs.js';
import { inFolder } from '../robot/replay/bags.js';

const sim = readFileSync('config/sim.yaml', 'utf8');
const urdf = readFileSync('config/builtin_arm.urdf', 'utf8');

/** What is found of sim.yaml with one text replaced by another, by what was looked at. */
function foundWith(
  from: string,
  to: string,
  model: string | null = null,
): Promise<ReadonlyMap<string, string>> {
  return inFolder((folder) => {
    expect(sim).toContain(from);
    const path = join(folder, 'robot.yaml');
    writeFileSync(path, sim.replace(from, to));
    writeFileSync(join(folder, 'builtin_arm.urdf'), urdf);
    const { findings } = checkFiles(path, model);
    return Promise.resolve(
      new Map(findings.map(({ what, outcome, sentence }) => [what, `${outcome}: ${sentence}`])),
    );
  });
}

describe('files', () => {
  it('of the built-in arm fit one another and nano', () => {
    const { findings } = checkFiles('config/sim.yaml', 'models/nano');
    expect(findings.filter(({ outcome }) => outcome === 'failed')).toEqual([]);
    expect(findings.map(({ what }) => what)).toContain('model');
  });

  it('with a key that is not known fail with it', async () => {
    const found = await foundWith('output: joint', 'output: joint\nspeed: 3');
    expect(found.get('robot.yaml')).toMatch(/^failed: .*a key that is not known/);
  });

  it('whose URDF is not there fail with its path', async () => {
    const found = await foundWith('urdf: builtin_arm.urdf', 'urdf: another.urdf');
    expect(found.get('URDF')).toMatch(/^failed: description.urdf: got ENOENT.*another.urdf/);
  });

  it('with limits beyond the URDF say which, and that the tighter ones hold', async () => {
    const found = await foundWith('joint1: { lower: -2.9', 'joint1: { lower: -3.1');
    expect(found.get('joint limits')).toMatch(/^note: .*joint1.lower -3.1 \(-2.9\)/);
  });

  it('with a joint that the arm does not have fail at the guard', async () => {
    const found = await foundWith('    joint7: {', '    wrist: {');
    expect(found.get('guard')).toMatch(/^failed: joints.limits.wrist/);
  });

  it('with a home pose outside the workspace fail', async () => {
    const found = await foundWith('joint1: 0, joint2: -0.25', 'joint1: 1.5, joint2: -0.25');
    expect(found.get('home')).toMatch(/^failed: the tool at .* is outside guard.workspace/);
  });

  it('with a home pose outside the joint limits fail with the joint', async () => {
    const found = await foundWith('joint1: 0, joint2: -0.25', 'joint1: 0, joint2: -2');
    expect(found.get('home')).toBe('failed: is outside the limits of joint2.');
  });

  it('of a robot that the model was not trained for fail with both names', async () => {
    const found = await foundWith('robot: sim', 'robot: mine', 'models/nano');
    expect(found.get('model')).toMatch(/^failed: .*got mine, expected .*sim/);
  });

  it('without a model name it as not looked at', async () => {
    const found = await foundWith('robot: sim', 'robot: mine');
    expect(found.get('model')).toMatch(/^skipped/);
  });
});

describe('the summary', () => {
  const finding = (step: string, outcome: 'ok' | 'failed') => ({
    ...{ step, outcome, what: 'thing', sentence: `${step} is ${outcome}` },
  });

  it('of a check that failed once says so, in full, and names what was not got to', () => {
    const lines: string[] = [];
    const report = new CheckReport((line) => lines.push(line));
    expect(report.addAll([finding('files', 'ok'), finding('inputs', 'failed')])).toBe(false);
    report.skipRest(['files', 'inputs', 'jog']);
    const result = report.result();
    expect(result).toMatchObject({ passed: false, counts: { ok: 1, failed: 1, skipped: 1 } });
    expect(lines).toHaveLength(3);
    expect(checkTable(result)).toContain('FAILED inputs, thing: inputs is failed');
    expect(checkTable(result)).toContain('not passed: 1 failed');
  });

  it('of a check without failures is passed', () => {
    const report = new CheckReport(() => undefined);
    expect(report.addAll([finding('files', 'ok')])).toBe(true);
    expect(checkTable(report.result())).toMatch(/ {2}passed$/);
  });
});

describe('consent', () => {
  it('is y or yes, and nothing else', () => {
    expect(['y', 'Y', ' yes '].map(isYes)).toEqual([true, true, true]);
    expect(['', 'n', 'yy', 'ja', 'no y'].map(isYes)).toEqual(Array(5).fill(false));
  });

  it('that is given for a simulation ends with the check', async () => {
    const ending = new AbortController();
    const dialogue = agreeingDialogue(() => undefined, ending.signal);
    expect(await dialogue.agree('move?')).toBe(true);
    ending.abort('SIGTERM');
    await expect(dialogue.agree('move?')).rejects.toThrow(new CheckEnded('SIGTERM'));
  });
});

describe('a picture', () => {
  it('is named after what the model uses it as', () => {
    expect(thumbnailName('front', 'primary')).toBe('primary.jpg');
    expect(thumbnailName('left/wrist', undefined)).toBe('unused.left_wrist.jpg');
  });
});
