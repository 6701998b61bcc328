import { describe, expect, it } from '@jest/globals';
import { InputError } from '../../src/errors.js';
import { dimensionError } from '../../src/report/dimensionError.js';
import { renderReport } from '../../src/report/page.js';
import { trackPlot } from '../../src/report/plots.js';
import type { DimensionTrack, RunReport } from '../../src/report/runReport.js';

const empty: RunReport = {
  title: 'Replay of x.mcap',
  summary: 'Nothing happened.',
  facts: [{ label: 'model', value: 'models/nano' }],
  notices: [],
  figures: [],
  rates: [],
  dimensions: [],
  reasons: [],
  galleries: [],
  reliability: [],
  tables: [],
};

const track = (
  recorded: readonly (number | null)[],
  predicted: readonly (number | null)[],
  times = recorded.map((_, i) => i * 0.2),
): DimensionTrack => ({ label: 'x', unit: 'm', times, recorded, predicted });

const gallery = (image: string): RunReport['galleries'] => [
  { title: 'Frames', note: '', frames: [{ image, alt: 'a', caption: 'c', outcome: 'good' }] },
];

describe('the error of a dimension', () => {
  it('is taken where both are there: 1 − 0, 0 − 2, 6 − 3', () => {
    expect(dimensionError(track([0, 2, null, 3, 9], [1, 0, 5, 6, null]))).toEqual({
      count: 3,
      mean: 2,
      p95: 2.9,
      max: 3,
      bias: (1 - 2 + 3) / 3,
      scale: 9,
    });
  });

  it('is not a number where nothing can be compared', () => {
    expect(dimensionError(track([null], [1]))).toEqual({
      count: 0,
      mean: NaN,
      p95: NaN,
      max: NaN,
      bias: NaN,
      scale: 0,
    });
  });
});

describe('a track plot', () => {
  const moves = (t: DimensionTrack, name: string): string =>
    new RegExp(`class="${name}" d="([^"]*)"`).exec(trackPlot(t).html)![1]!;

  it('joins neighbours, and breaks at nulls and at gaps in time', () => {
    expect(moves(track([0, 1, 2], [0, 1, 2]), 'recorded').match(/M/g)).toHaveLength(1);
    expect(moves(track([0, null, 2], [0, 1, 2]), 'recorded').match(/M/g)).toHaveLength(2);
    const episodes = track([0, 1, 2, 3], [0, 1, 2, 3], [0, 0.2, 5, 5.2]);
    expect(moves(episodes, 'predicted').match(/M/g)).toHaveLength(2);
  });

  it('puts the largest value at the top and the smallest at the bottom', () => {
    expect(moves(track([0, 10], [0, 10]), 'recorded')).toBe('M52 102h0L414 8');
  });

  it('stays small for long runs and takes no offence at constants or nothing', () => {
    const long = Array.from({ length: 100_000 }, (_, i) => Math.sin(i / 1000));
    expect(trackPlot(track(long, long)).html.length).toBeLessThan(40_000);
    expect(trackPlot(track([3, 3], [3, 3])).html).not.toContain('NaN');
    expect(trackPlot(track([null], [null])).html).toContain('no values');
  });
});

describe('a report page', () => {
  it('stands alone: no script, no address, a policy that forbids both', () => {
    const page = renderReport({ ...empty, galleries: gallery('data:image/png;base64,AAAA') });
    expect(page).toMatch(/^<!doctype html>/);
    expect(page).not.toMatch(/<script|https?:|url\(|@import|<link/);
    expect(page).toContain('default-src &#39;none&#39;; img-src data:');
  });

  it('escapes whatever comes from bags and models', () => {
    const attack = `<img src=x onerror="alert('1')">&`;
    const page = renderReport({
      ...empty,
      title: attack,
      facts: [{ label: attack, value: attack }],
      reasons: [{ outcome: 'halt', code: attack, message: attack, count: 1 }],
      tables: [
        {
          title: attack,
          note: attack,
          columns: [{ label: attack, align: 'left' }],
          rows: [[attack]],
        },
      ],
    });
    expect(page).not.toContain('<img');
    expect(page).toContain('&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp;');
  });

  it('lists halts before refusals before limits, the frequent ones first', () => {
    const page = renderReport({
      ...empty,
      reasons: [
        { outcome: 'limited', code: 'velocity', message: '', count: 90 },
        { outcome: 'refused', code: 'deadline', message: '', count: 2 },
        { outcome: 'halt', code: 'stale', message: '', count: 1 },
        { outcome: 'refused', code: 'prose', message: '', count: 5 },
      ],
    });
    expect([...page.matchAll(/<code>(\w+)<\/code>/g)].map((m) => m[1])).toEqual([
      'stale',
      'prose',
      'deadline',
      'velocity',
    ]);
  });

  it('says so where nothing was refused or halted', () => {
    expect(renderReport(empty)).toContain('every target passed unchanged');
  });

  it('shows rates with their interval, and none of zero trials', () => {
    const rate = { label: 'pick', successes: 11, trials: 20, low: 0.34, high: 0.74 };
    const page = renderReport({ ...empty, rates: [rate, { ...rate, successes: 0, trials: 0 }] });
    expect(page).toContain('55 %');
    expect(page).toContain('34 % to 74 %');
    expect(page).not.toContain('NaN');
  });

  it('draws a point per group where its confidence and its share are', () => {
    const groups = [
      { count: 40, score: 0.25, share: 0.5 },
      { count: 41, score: 0.5, share: 1 },
    ];
    const page = renderReport({
      ...empty,
      reliability: [{ label: 'As told', note: 'by itself', groups, error: 0.375 }],
    });
    // A square of 242 from (52, 8): 52 + 0.25 · 242, 8 + 0.5 · 242; and at half its width its upper edge.
    expect([...page.matchAll(/cx="([\d.]+)" cy="([\d.]+)"/g)].map(([, x, y]) => [x, y])).toEqual([
      ['112.5', '129'],
      ['173', '8'],
    ]);
    expect(page).toContain('25 %: 50 % of 40 came true');
    expect(page).toContain('off by 37.5 %');
    expect(page).toContain('by itself');
    expect(page.match(/<td class="right">41<\/td>/g)).toHaveLength(1);
    expect(renderReport(empty)).not.toContain('<circle');
  });

  it.each([
    'https://example.org/x.png',
    'data:text/html;base64,AAAA',
    'data:image/png;base64,A"onload=',
    'data:image/svg+xml;base64,AAAA',
  ])('refuses the picture %s', (image) => {
    expect(() => renderReport({ ...empty, galleries: gallery(image) })).toThrow(InputError);
  });

  it('refuses tables and tracks whose columns differ in length', () => {
    const columns = [{ label: 'a', align: 'left' }] as const;
    const table = { title: 't', note: '', columns, rows: [['1', '2']] };
    expect(() => renderReport({ ...empty, tables: [table] })).toThrow('a row of 2');
    const uneven = { ...track([1, 2], [1, 2]), times: [0] };
    expect(() => renderReport({ ...empty, dimensions: [uneven] })).toThrow('1 times, 2 recorded');
  });
});
