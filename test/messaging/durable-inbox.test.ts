// What an inbox does with a read that was under way when messages before it came back.

import { expect, test } from 'vitest';
import { RuntimeError } from '../../runtime/contracts/errors.ts';
import type { AgentId } from '../../runtime/contracts/ids.ts';
import type { InboxMessage, MessageStore } from '../../runtime/contracts/store.ts';
import type { DurableReport } from '../../runtime/contracts/wire.ts';
import { DurableInbox } from '../../runtime/messaging/durable-inbox.ts';
import { SnapshotOrder } from '../../runtime/messaging/snapshot-order.ts';
import { testAmbient } from '../kit/ambient.ts';

const TO = 'agt_01h455vb4pex5vsknk084sn02q' as AgentId;
const FAILED = { type: 'failed', error: { code: 'handler_failed', message: 'no', retryable: true } } as const;

interface Read {
  readonly after: number;
  readonly most: number;
  answer(): Promise<void>;
}

interface Sent {
  readonly seq: number;
  readonly generation: number;
  report(report: DurableReport): Promise<void>;
  refuse(code: 'target_lost'): Promise<void>;
}

/** Does it, and waits for what it leads to. */
async function settled(what: () => void): Promise<void> {
  what();
  await new Promise<void>((resolve) => void setImmediate(resolve));
}

/** An inbox over rows of a store that answers reads when the test says so, with what was there when they began. */
function inboxOver(count: number) {
  const ambient = testAmbient();
  const rows = new Map<number, InboxMessage>();
  const accept = (seq: number, lane = 'one') => {
    const id = ambient.newId('message');
    const fixed = { to: TO, lane, type: 'add', body: seq, protocol: 'direct' } as const;
    rows.set(seq, { ...fixed, id, seq, attempts: 0, maxAttempts: 5, crashes: 0, waitMs: 0 });
  };
  for (let seq = 1; seq <= count; seq++) accept(seq);
  const reads: Read[] = [];
  const sent: Sent[] = [];
  const suspected: number[] = [];
  const store: Pick<MessageStore, 'read' | 'acknowledge' | 'fail' | 'suspect'> = {
    read: ({ after, most }) => {
      const found = [...rows.values()].filter(({ seq }) => seq > after).slice(0, most);
      return new Promise((resolve) => {
        reads.push({ after, most, answer: () => settled(() => resolve(found)) });
      });
    },
    acknowledge: async ({ seqs }) => {
      for (const seq of seqs) rows.delete(seq);
      return { outcome: 'committed', accepted: [] };
    },
    fail: async ({ seq, next }) => {
      const row = rows.get(seq);
      if ('dead' in next) rows.delete(seq);
      else if (row) rows.set(seq, { ...row, attempts: row.attempts + 1 });
      return 'committed';
    },
    suspect: async (_to, _epoch, seqs) => {
      suspected.push(...seqs);
      return 'committed';
    },
  };
  let generation = 0;
  const inbox = new DurableInbox(
    TO,
    {
      store: store as MessageStore,
      pool: {
        handle: (_to, { body, generation: of }) =>
          new Promise((resolve, reject) => {
            const report = (told: DurableReport) => settled(() => resolve(told));
            const refuse = (code: 'target_lost') => settled(() => reject(new RuntimeError(code, 'its thread is gone')));
            sent.push({ seq: body as number, generation: of, report, refuse });
          }),
      },
      ambient,
      resident: () => ({ epoch: 1, tenant: 'default', capacity: 512 }),
      order: new SnapshotOrder(),
      quiet: async () => undefined,
      saved: () => undefined,
      accepted: () => undefined,
      replied: () => undefined,
      paused: () => false,
      poisonAfter: 3,
      nextGeneration: () => ++generation,
      counters: { acknowledged: 0, failed: 0, deadLettered: 0, redelivered: 0, fenced: 0 },
    },
    false,
  );
  const seqs = () => sent.map(({ seq }) => seq);
  return { inbox, ambient, accept, reads, sent, seqs, suspected };
}

/** Two messages of a lane are in the cell, and a read for what follows them, one of another lane among it, is under way. */
async function readingOn() {
  const rig = inboxOver(2);
  rig.inbox.notify();
  await rig.reads[0]?.answer();
  expect(rig.seqs()).toEqual([1, 2]);
  for (const seq of [3, 4]) rig.accept(seq);
  rig.accept(5, 'two');
  rig.inbox.notify();
  expect(rig.reads[1]).toMatchObject({ after: 2 });
  return rig;
}

test.each([
  ['before its cell is back', false],
  ['after its cell is back', true],
])('what was being read when the thread died and is there %s does not overtake what was lost', async (_when, back) => {
  const { inbox, reads, sent, seqs, suspected } = await readingOn();
  for (const lost of sent.slice(0, 2)) await lost.refuse('target_lost');
  if (back) inbox.rewind();
  await reads[1]?.answer();
  expect(seqs()).toEqual([1, 2]);
  expect(suspected).toEqual([]);
  if (!back) inbox.rewind();
  for (const at of [2, 3, 4]) {
    await reads[at]?.answer();
    await sent.at(-1)?.report({ type: 'handled', snapshot: {} });
    if (at === 3) await sent.at(-2)?.report({ type: 'handled', snapshot: {} });
    await settled(() => undefined);
  }
  // First one alone, then two, then the rest.
  expect(seqs()).toEqual([1, 2, 1, 2, 3, 4, 5]);
  expect(suspected).toEqual([1, 2, 3, 4, 5]);
});

test('what was being read when a message failed does not overtake it when its lane opens before the read is done', async () => {
  const { inbox, ambient, reads, sent, seqs } = await readingOn();
  await sent[0]?.report(FAILED);
  await sent[1]?.report({ type: 'skipped' });
  await ambient.clock.advanceAsync(1_000);
  await reads[1]?.answer();
  expect(seqs()).toEqual([1, 2, 5]);
  expect(reads[2]).toMatchObject({ after: 0 });
  await reads[2]?.answer();
  expect(seqs()).toEqual([1, 2, 5, 1, 2, 3, 4]);
  inbox.close();
});

test('a read that finds nothing more when the thread has died does not end the suspicion, and it is not forgotten while the cell is away', async () => {
  const { inbox, reads, sent, seqs, suspected } = inboxOver(2);
  inbox.notify();
  await reads[0]?.answer();
  inbox.notify();
  for (const lost of [...sent]) await lost.refuse('target_lost');
  await reads[1]?.answer();
  expect(inbox).toMatchObject({ calm: false, idle: false });
  inbox.rewind();
  await reads[2]?.answer();
  expect(seqs()).toEqual([1, 2, 1]);
  expect(suspected).toEqual([1]);
});
