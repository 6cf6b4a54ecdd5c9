// The rules on claims they were not made for: what they get right, and what they honestly do not.

import { expect, test } from 'vitest';
import { sentencesOf } from '../../../actors/research/sentences.ts';
import { verifyByRules } from '../../../actors/research/verify.ts';

const TEXT = `The bakery was founded by Marta Olsen in 1921. It sells rye bread and cinnamon rolls. Deliveries are made before six in the
morning. The ovens are heated with beech wood, never with gas. Apprentices are paid from the first day. The recipe for the rolls is kept
secret. On Sundays the shop stays closed. The server listens on port 8080 by default. Passwords must have at least twelve characters. The
cache is enabled unless the flag is set. Requests larger than 5 MB are rejected. Sessions expire after 30 minutes of inactivity.`;
const SENTENCES = sentencesOf(TEXT).map(({ text }, at, all) => ({
  file: 'notes.txt',
  line: 1,
  text,
  ...(at === 0 ? {} : { before: all[at - 1]?.text ?? '' }),
}));

test.each([
  ['The bakery was founded in 1921.', 'supported'],
  ['The bakery was founded in 1950.', 'refuted'],
  ['The bakery sells rye bread.', 'supported'],
  ['Deliveries are made after six in the morning.', 'refuted'],
  ['The ovens are heated with gas.', 'refuted'],
  ['Apprentices are not paid from the first day.', 'refuted'],
  ['The shop stays open on Sundays.', 'refuted'],
  ['The server listens on port 9090 by default.', 'refuted'],
  ['Passwords need at least twelve characters.', 'supported'],
  ['The cache is disabled unless the flag is set.', 'refuted'],
  ['Requests larger than 5 MB are accepted.', 'refuted'],
  ['Sessions expire after 30 minutes of inactivity.', 'supported'],
  ['The bakery has a branch in Oslo.', 'unknown'],
  ['Sessions are stored in Redis.', 'unknown'],
])('"%s" is %s', (claim, verdict) => {
  const finding = verifyByRules(claim, SENTENCES);
  expect(finding.verdict).toBe(verdict);
  for (const { text } of finding.sources) expect(TEXT).toContain(text);
});

test.each([
  ['The bakery was founded by Jonas Berg in 1921.', 'refuted', 'two names differ'],
  ['The recipe for the rolls is public.', 'refuted', 'secret is no listed opposite of public'],
])('"%s" should be %s, but is left unknown: %s', (claim) => {
  expect(verifyByRules(claim, SENTENCES).verdict).toBe('unknown');
});
