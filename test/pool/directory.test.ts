import { expect, test } from 'vitest';
import type { CellSpec } from '../../runtime/contracts/wire.ts';
import { Directory, type Entry, type EntryPhase, type Thread } from '../../runtime/pool/directory.ts';
import { actorId } from '../kit/pool.ts';

const thread = (id: number) => ({ id, slots: new Map() }) as unknown as Thread;
const entry = (phase: EntryPhase, place?: Thread, slot = 1): Entry => ({
  id: actorId('a'),
  spec: {} as CellSpec,
  phase,
  thread: place ?? null,
  slot,
  meter: 0,
  state: 'idle',
  dedicated: false,
  before: null,
});

function rig() {
  const late: (() => void)[] = [];
  const directory = new Directory({
    nowMs: () => 0,
    monotonicMs: () => 0,
    setInterval: () => () => {},
    setTimeout: (fn) => {
      late.push(fn);
      return () => late.splice(late.indexOf(fn), 1);
    },
  });
  const found: unknown[] = [];
  const find = (stale?: { thread: number; slot: number }) =>
    directory.find(actorId('a'), stale, 100, (place, why) =>
      found.push(place ? `${place.thread.id}/${place.slot}` : why),
    );
  return { directory, found, find, late };
}

test('an unknown actor is told at once, a settled one too', () => {
  const { directory, found, find } = rig();
  find();
  directory.set(entry('up', thread(2), 5));
  find();
  expect(found).toEqual(['actor_not_found', '2/5']);
});

test('who asks while it starts or moves hears when it is settled', () => {
  const { directory, found, find, late } = rig();
  const moving = entry('moving', thread(1));
  directory.set(moving);
  find();
  expect(found).toEqual([]);
  moving.phase = 'up';
  moving.thread = thread(3);
  directory.changed(moving.id);
  expect(found).toEqual(['3/1']);
  expect(late).toEqual([]);
});

test('who found it gone from the place on record waits for a new one, not for ever', () => {
  const { directory, found, find, late } = rig();
  directory.set(entry('up', thread(2), 5));
  find({ thread: 2, slot: 5 });
  expect(found).toEqual([]);
  for (const fn of [...late]) fn();
  expect(found).toEqual(['actor_not_found']);
});

test('a former entry does not remove its successor', () => {
  const { directory } = rig();
  const former = entry('failed', thread(1));
  directory.set(former);
  directory.set(entry('up', thread(2)));
  expect(directory.delete(former)).toBe(false);
  expect(directory.place(actorId('a'))?.thread.id).toBe(2);
});

test('who looks for an actor that was lost waits for its next incarnation', () => {
  const { directory, found, find, late } = rig();
  const lost = entry('up', thread(1));
  directory.set(lost);
  directory.lose(lost, 1_000);
  find();
  const next = entry('starting');
  directory.set(next);
  expect(found).toEqual([]);
  next.phase = 'up';
  next.thread = thread(2);
  directory.changed(next.id);
  expect(found).toEqual(['2/1']);
  expect(late).toEqual([]);
});

test.each([
  { name: 'is given up', end: (directory: Directory) => directory.giveUp(actorId('a')) },
  {
    name: 'was expected too long',
    end: (_: Directory, late: (() => void)[]) => late[0]?.(),
  },
  {
    name: 'was waited for too long',
    end: (_: Directory, late: (() => void)[]) => late[1]?.(),
  },
])('a lost actor that $name is told as lost', ({ end }) => {
  const { directory, found, find, late } = rig();
  const lost = entry('up', thread(1));
  directory.set(lost);
  directory.lose(lost, 1_000);
  find();
  expect(found).toEqual([]);
  end(directory, late);
  expect(found).toEqual(['target_lost']);
});
