import { describe, expect, test } from '@jest/globals';
import { askedFrom, askedFromMessage } from '../../../src/robot/ros/parameterMessages.js';
import { overridesFor, Parameters } from '../../../src/robot/ros/parameters.js';
import { listed } from '../../../src/robot/ros/parameterServices.js';

const speed = { name: 'speed', value: 0.5, description: 'share', range: { from: 0, to: 1 } };
const double = (name: string, value: number) => ({ name, value: askedFrom(3, value) });

describe('parameters', () => {
  test('keep a declared value, or take the given one', () => {
    const parameters = new Parameters(new Map([['speed', askedFrom(3, 0.25)]]));
    expect(parameters.declare(speed)).toBe(0.25);
    expect(parameters.declare({ name: 'x', value: 'a', description: '' })).toBe('a');
    expect(parameters.names).toEqual(['speed', 'x']);
  });

  test('refuse a second declaration, an own value out of range, and an unknown name', () => {
    const parameters = new Parameters(new Map());
    parameters.declare(speed);
    expect(() => parameters.declare(speed)).toThrow('parameter speed: declared twice');
    expect(() => parameters.declare({ ...speed, name: 'y', value: 2 })).toThrow(
      'parameter y: got 2, expected double in 0 … 1',
    );
    expect(() => parameters.get('z')).toThrow('parameter z: not declared');
  });

  test('a veto that fails is a veto, and changes nothing', () => {
    const parameters = new Parameters(new Map());
    parameters.declare(speed);
    parameters.onChange(() => {
      throw new Error('lost its mind');
    });
    expect(parameters.change([double('speed', 1)])).toBe('could not be checked: lost its mind');
    expect(parameters.get('speed')).toBe(0.5);
  });

  test('all are changed or none', () => {
    const parameters = new Parameters(new Map());
    parameters.declare(speed);
    parameters.declare({ ...speed, name: 'other' });
    expect(parameters.change([double('speed', 1), double('other', 7)])).toMatch(/other: got 7/);
    expect(parameters.get('speed')).toBe(0.5);
    expect(parameters.change([double('speed', 1), double('other', 0)])).toBeNull();
    expect([parameters.get('speed'), parameters.get('other')]).toEqual([1, 0]);
  });

  test.each([NaN, Infinity, -Infinity, -1e-9, 1 + 1e-9])('%d is not in 0 … 1', (value) => {
    const parameters = new Parameters(new Map());
    parameters.declare(speed);
    expect(parameters.change([double('speed', value)])).toMatch(/expected double in 0 … 1/);
  });

  test('no value of any type, however wrong, throws', () => {
    const parameters = new Parameters(new Map());
    parameters.declare(speed);
    parameters.declare({ name: 'count', value: 1, description: '', integer: true });
    for (let type = -1; type < 12; type++)
      for (const name of ['speed', 'count', '', 'no'])
        expect(
          typeof parameters.change([
            {
              name,
              value: askedFromMessage({ type, integer_value: 2n ** 62n, string_array_value: [] }),
            },
          ]),
        ).toBe('string');
  });
});

describe('what the command line gives', () => {
  const given = (...names: readonly string[]) =>
    names.map((name, i) => ({ name, parameters: [{ name: 'p', type: 2, value: i }] }));
  const found = (fullName: string, ...names: readonly string[]) =>
    overridesFor(given(...names), fullName).get('p')?.value;

  test('is for a node by its full name, with or without the first slash', () => {
    expect(found('/node', 'node')).toBe(0);
    expect(found('/node', '/node')).toBe(0);
    expect(found('/left/node', 'node')).toBeUndefined();
    expect(found('/left/node', '/left/node')).toBe(0);
    expect(found('/nodes', '/node')).toBeUndefined();
  });

  test('* is one part of a name, ** any number; later ones win', () => {
    expect(found('/left/node', '/**', '/*/node', '/right/node')).toBe(1);
    expect(found('/a/b/node', '/**/node', '/*/node')).toBe(0);
    expect(found('/node', '/**/node')).toBe(0);
    expect(found('/node', '/*')).toBe(0);
  });

  test('characters that mean something in a pattern mean themselves', () => {
    expect(found('/nodeX', '/node.')).toBeUndefined();
    expect(found('/node', '/(.+)+$')).toBeUndefined();
  });
});

test('names are listed below prefixes, to a depth', () => {
  const names = ['a', 'a.b', 'a.b.c', 'ab', 'd.e'];
  expect(listed(names, [], 0)).toEqual({ names, prefixes: ['a', 'a.b', 'd'] });
  expect(listed(names, [], 1)['names']).toEqual(['a', 'ab']);
  expect(listed(names, ['a'], 0)['names']).toEqual(['a', 'a.b', 'a.b.c']);
  expect(listed(names, ['a'], 1)['names']).toEqual(['a', 'a.b']);
  expect(listed(names, ['d', 'a.b'], 0)['names']).toEqual(['a.b', 'a.b.c', 'd.e']);
});
