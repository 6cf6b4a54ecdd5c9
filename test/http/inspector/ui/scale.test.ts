import { expect, test } from 'vitest';
import { brief, clockMs, figure } from '../../../../http/inspector/ui/figures.ts';
import { ticks, timeScale } from '../../../../http/inspector/ui/scale.ts';

test('a moment is placed between the ends, and never beyond them', () => {
  const scale = timeScale(100, 300);
  expect([scale.at(0), scale.at(200), scale.at(999)]).toEqual([0, 0.5, 1]);
  expect(timeScale(5, 5).at(5)).toBe(0);
});

test.each([
  [1_000, 5, [0, 200, 400, 600, 800, 1_000]],
  [7, 8, [0, 1, 2, 3, 4, 5, 6, 7]],
  [90_000, 4, [0, 30_000, 60_000, 90_000]],
  [10 * 86_400_000, 5, [0, 2, 4, 6, 8, 10].map((days) => days * 86_400_000)],
])('%d ms with at most %d marks', (span, most, expected) => {
  expect(ticks(span, most)).toEqual(expected);
});

test.each([
  [12, '12'],
  [2.71963, '2.72'],
  [0.0000123, '1.23e-5'],
  [null, '–'],
  [Number.NaN, '–'],
])('%d is written %s', (value, text) => {
  expect(figure(value)).toBe(text);
});

test('a value on one line is cut, and a time that is none is a dash', () => {
  expect(brief({ a: 'x'.repeat(50) }, 10)).toBe('{"a":"xxx…');
  expect(clockMs('nonsense')).toBe('–');
});
