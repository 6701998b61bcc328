/** What a contract's schema cannot say: that its names are defined, its prompts and answers fit, its numbers can be used. */
import { ConfigError } from '../errors.js';
import { calibrationProblem } from '../math/calibration.js';
import type { Contract, Prompt, PromptKind } from './contract.js';
import { imagesOf, piecesOf, promptsOf } from './promptPieces.js';

/** @throws ConfigError naming the key, what was got and what was expected. */
export function assertConsistent(contract: Contract, where: string): void {
  checkNames(contract, where);
  checkRanges(contract, where);
}

/** Every name that is used is defined. */
function checkNames(contract: Contract, where: string): void {
  const recipes = Object.keys(contract.recipes);
  contract.towers.forEach((tower, index) => {
    expectOneOf(tower.recipe, recipes, `${where}: towers.${index}.recipe`);
  });
  const keys = Object.keys(contract.statistics);
  const at = `${where}: answers.action.statistics.default`;
  expectOneOf(contract.answers.action.statistics.default, keys, at);
  contract.robots.forEach((robot, index) => {
    expectOneOf(robot.statistics, keys, `${where}: robots.${index}.statistics`);
  });
  const { dims } = contract.answers.action;
  for (const name of ['x', 'y', 'z', 'gripper'] as const) {
    if (!dims.includes(name))
      fail(`${where}: answers.action.dims`, dims.join(), `${name} among them`);
  }
  checkPromptNames(contract, where);
}

function checkPromptNames(contract: Contract, where: string): void {
  const { prompts, answers } = contract;
  for (const kind of promptKinds) {
    const prompt = prompts[kind];
    if ((prompt === undefined) !== (answers[kind] === undefined)) {
      const [there, missing] = prompt ? ['prompts', 'answers'] : ['answers', 'prompts'];
      fail(where, `${there}.${kind} without ${missing}.${kind}`, 'both or none');
    }
    if (prompt) checkPieces(kind, prompt, `${where}: prompts.${kind}.segments`);
  }
  const segments = promptsOf(contract).flatMap(piecesOf);
  if (segments.some((segment) => 'state' in segment) && contract.state.length === 0) {
    fail(`${where}: state`, 'no fields', 'fields, because a prompt has a {state} segment');
  }
  if (segments.some((segment) => 'speed' in segment) && answers.trace?.speed === undefined) {
    fail(
      `${where}: answers.trace.speed`,
      'nothing',
      'a number, because a prompt has a {speed} segment',
    );
  }
  if (prompts.trace && answers.trace) {
    const marked = imagesOf(prompts.trace).flatMap(({ image, marks }) => (marks ? [image] : []));
    expectOneOf(answers.trace.camera, marked, `${where}: answers.trace.camera`);
  }
}

const promptKinds = ['action', 'trace', 'question', 'video', 'location', 'interface'] as const;
const ofTraces = ['marks', 'steps', 'speed'] as const;

/** What a kind of prompt must not have, and what one about pictures must. */
function checkPieces(kind: PromptKind, prompt: Prompt, where: string): void {
  const pieces = piecesOf(prompt);
  const has = (...names: readonly string[]): boolean =>
    pieces.some((piece) => names.some((name) => name in piece && !('image' in piece)));
  if (kind !== 'trace' && has(...ofTraces))
    fail(where, 'a trace segment', 'no marks, steps or speed');
  const groups = prompt.segments.filter((segment) => 'frames' in segment).length;
  if (groups !== (kind === 'video' ? 1 : 0)) {
    fail(where, `${groups} groups of frames`, kind === 'video' ? 'one' : 'none: it is no video');
  }
  const images = imagesOf(prompt);
  const boxed = images.some(({ marks }) => marks === 'boxes');
  if (boxed !== (kind === 'interface')) {
    fail(
      where,
      boxed ? 'marks: boxes' : 'no marks: boxes',
      `${boxed ? 'no ' : ''}boxes to click on`,
    );
  }
  if (kind === 'action' || kind === 'trace') return;
  if (has('state')) fail(where, 'a {state} segment', 'none: no robot is asked about');
  const outside = prompt.segments.filter((segment) => 'image' in segment).length;
  if (images.length !== 1 || (kind === 'video' && outside > 0)) {
    const expected = kind === 'video' ? 'one, among the frames' : 'the one that is asked about';
    fail(where, `${images.length} pictures`, expected);
  }
  if (kind === 'location' && images[0]!.marks !== 'drawn') {
    fail(where, 'a picture without marks', 'marks: drawn');
  }
  if (kind !== 'location' && !has('instruction')) {
    fail(where, 'no {instruction} segment', 'one, for what is asked');
  }
}

/** Every number is in a range that the arithmetic can use. */
function checkRanges(contract: Contract, where: string): void {
  const { action, trace, location } = contract.answers;
  const at = `${where}: answers.action`;
  const problem = action.calibration && calibrationProblem(action.calibration);
  if (problem) fail(`${at}.calibration`, `a table that ${problem}`, 'one that can be read');
  const repeated = action.dims.find((name, index) => action.dims.indexOf(name) !== index);
  if (repeated) fail(`${at}.dims`, `${repeated} twice`, 'each dimension once');
  if (action.vocabulary < action.bins) {
    fail(`${at}.vocabulary`, String(action.vocabulary), `at least the ${action.bins} bins`);
  }
  if (action.gripper.open === action.gripper.closed) {
    fail(`${at}.gripper`, `open = closed = ${action.gripper.open}`, 'two different numbers');
  }
  contract.state.forEach((field, index) => {
    if (field.min < field.max) return;
    fail(`${where}: state.${index} (${field.name})`, `${field.min} … ${field.max}`, 'min < max');
  });
  for (const [name, answer] of Object.entries({ trace, location })) {
    if (!answer || answer.marks.min <= answer.marks.max) continue;
    const { min, max } = answer.marks;
    fail(`${where}: answers.${name}.marks`, `${min} … ${max}`, 'min ≤ max');
  }
}

function expectOneOf(name: string, known: readonly string[], where: string): void {
  if (!known.includes(name))
    fail(where, `"${name}"`, `one of ${known.join(', ') || '(none defined)'}`);
}

function fail(where: string, got: string, expected: string): never {
  throw new ConfigError(where, got, expected);
}
