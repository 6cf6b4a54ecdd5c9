import { expect, test } from 'vitest';
import type { AgentId } from '../../runtime/contracts/ids.ts';
import type { PoolNotice } from '../../runtime/contracts/wire.ts';
import { OutgoingNotices } from '../../runtime/thread/outgoing-notices.ts';

function rig() {
  const sent: PoolNotice[] = [];
  const due: (() => void)[] = [];
  let now = 0;
  const notices = new OutgoingNotices(3, {
    send: (batch) => sent.push(...batch),
    atEnd: (fn) => due.push(fn),
    nowMs: () => now,
    setTimeout: (fn) => due.push(fn),
  });
  const log = (message: string): PoolNotice => ({ type: 'log', id: null, thread: 3, line: { level: 'info', message } });
  return {
    sent,
    notices,
    log,
    endTurn: () => {
      for (const fn of due.splice(0)) fn();
    },
    advance: (ms: number) => {
      now += ms;
    },
  };
}

test('notices of a turn go together and in order', () => {
  const { notices, log, sent, endTurn } = rig();
  notices.pushRated(log('one'));
  notices.push({ type: 'cell.done', id: 'agt_a' as AgentId, incarnation: 1, output: null });
  notices.pushRated(log('two'));
  expect(sent).toEqual([]);
  endTurn();
  expect(sent.map(({ type }) => type)).toEqual(['log', 'cell.done', 'log']);
});

test('a flood is cut, told once with its count, and never cuts what matters', () => {
  const { notices, log, sent, endTurn } = rig();
  for (let n = 0; n < 5_000; n++) notices.pushRated(log(`${n}`));
  notices.push({ type: 'cell.done', id: 'agt_a' as AgentId, incarnation: 1, output: null });
  endTurn();
  endTurn();
  endTurn();
  expect(sent.filter(({ type }) => type === 'cell.done')).toHaveLength(1);
  const told = sent.filter((notice) => notice.type === 'log' && notice.line.level === 'warn');
  expect(told).toMatchObject([{ line: { fields: { count: 4_000 } } }]);
});

test('the next window passes notices on again', () => {
  const { notices, log, sent, endTurn, advance } = rig();
  for (let n = 0; n < 2_000; n++) notices.pushRated(log('x'));
  advance(100);
  notices.pushRated(log('later'));
  endTurn();
  expect(sent.some((notice) => notice.type === 'log' && notice.line.message === 'later')).toBe(true);
});
