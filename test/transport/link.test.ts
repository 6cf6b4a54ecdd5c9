import { beforeEach, expect, test } from 'vitest';
import type { AgentId } from '../../runtime/contracts/ids.ts';
import { Envelope } from '../../runtime/transport/envelope.ts';
import { ARITY, INTRODUCE, TELL } from '../../runtime/transport/frames.ts';
import { HOLD_LIMIT, Link, type LinkEvents, OUTBOX_LIMIT, WINDOW } from '../../runtime/transport/link.ts';
import { Wire } from '../kit/wire.ts';

let wire: Wire;
let bodies: unknown[];
let a: Link;
let b: Link;
const collect: LinkEvents = {
  frame: (link, flat) => {
    for (let at = 2; at < flat.length; at += (ARITY[flat[at] as number] ?? 0) + 1) {
      if (flat[at] === INTRODUCE) link.names.set(flat[at + 1] as number, flat[at + 2] as AgentId);
      if (flat[at] !== TELL) continue;
      link.received++;
      bodies.push(flat[at + 4]);
    }
  },
  acknowledged: () => {},
  other: () => {},
  closed: () => {},
};

beforeEach(() => {
  wire = new Wire();
  bodies = [];
  a = new Link(2, 'a', wire.port(0), collect, wire.turn);
  b = new Link(1, 'b', wire.port(1), collect, wire.turn);
});

function tell(body: unknown, slot = 1, confirm: Envelope['confirm'] = null, plain = true): Envelope {
  const envelope = new Envelope('agt_to' as AgentId, 'agt_from' as AgentId, 7, 'inc', body, plain, null, 0, 0, confirm);
  envelope.slot = slot;
  return envelope;
}

test('a turn of messages goes in batches, arrives in order and is acknowledged', () => {
  const outcomes: unknown[] = [];
  for (let n = 0; n < 300; n++) a.send(tell({ n }, 1, (result) => outcomes.push(result.outcome)));
  wire.settle();
  expect(bodies).toEqual(Array.from({ length: 300 }, (_, n) => ({ n })));
  expect(wire.ends[0]?.posts).toBe(3);
  expect(outcomes).toEqual(Array(300).fill('delivered'));
  expect(a.pending).toBe(0);
  expect(b.names.get(7)).toBe('agt_from');
});

test('what the codec cannot carry goes between the batches, in its place', () => {
  const map = new Map([[1, 2]]);
  for (let n = 0; n < 5; n++) a.send(tell(n === 2 ? { n, map } : { n }, 1, null, n !== 2));
  wire.settle();
  expect(bodies).toEqual([{ n: 0 }, { n: 1 }, { n: 2, map }, { n: 3 }, { n: 4 }]);
});

test('no more than a window is under way, and the outbox is bounded', () => {
  let taken = 0;
  for (let n = 0; n < OUTBOX_LIMIT + 10; n++) if (a.send(tell(n))) taken++;
  expect(taken).toBe(OUTBOX_LIMIT);
  wire.endTurn();
  expect(a.sent).toBe(WINDOW);
  wire.settle();
  expect(bodies).toHaveLength(OUTBOX_LIMIT);
  expect(a.pending).toBe(0);
});

test('a paused receiver gets what it grants, others go on, and the order holds', () => {
  a.pause(1);
  for (let n = 0; n < 10; n++) a.send(tell(`held ${n}`, 1));
  a.send(tell('free', 2));
  wire.settle();
  expect(bodies).toEqual(['free']);
  a.grant(1, 4);
  wire.settle();
  expect(bodies).toEqual(['free', 'held 0', 'held 1', 'held 2', 'held 3']);
  a.send(tell('after', 1));
  a.grant(1, 100);
  a.send(tell('open again', 1));
  wire.settle();
  expect(bodies.slice(5)).toEqual([...Array.from({ length: 6 }, (_, n) => `held ${n + 4}`), 'after', 'open again']);
});

test('no more is held for a paused receiver than its bound', () => {
  a.pause(1);
  let taken = 0;
  for (let n = 0; n < HOLD_LIMIT + 5; n++) if (a.send(tell(n))) taken++;
  expect(taken).toBe(HOLD_LIMIT);
});

test('a link that ends gives back what was not acknowledged apart from what was not sent', () => {
  for (let n = 0; n < WINDOW + 3; n++) a.send(tell(n));
  wire.endTurn();
  a.pause(9);
  a.send(tell('held', 9));
  a.close();
  const { posted, waiting } = a.abandon();
  expect([posted.length, waiting.length]).toEqual([WINDOW, 4]);
});
