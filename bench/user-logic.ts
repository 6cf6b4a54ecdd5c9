// What the runtime adds to a user's logic: the same XState logic driven by a plain createActor and as an actor in a cell.

import { performance } from 'node:perf_hooks';
import { type AnyActorLogic, createActor } from 'xstate';
import { defineActor } from '../actors/agent/define-actor.ts';
import type { CellContext } from '../runtime/contracts/actor.ts';
import type { Message } from '../runtime/contracts/envelope.ts';
import { fromUuid } from '../runtime/contracts/ids.ts';
import type { PreparedSubject, Scenario, Subject } from './scenario.ts';

/**
 * One shape of logic, ours beside XState alone; the logic counts `inc` events and sums their `n` in `{ count, sum }`.
 * The shapes are scenarios of their own, because what we add weighs more the cheaper the logic is.
 */
export function userLogic(
  name: string,
  about: string,
  logic: AnyActorLogic,
  { count, floor }: { readonly count: number; readonly floor: number },
): Scenario {
  return {
    name,
    about,
    subjects: [inCell(logic, count), plain(logic, count)],
    floors: { 'xstate alone': floor },
  };
}

interface Totals {
  readonly count: number;
  readonly sum: number;
}

/** Sends `count` events and checks the logic's own count and sum. */
function drive(count: number, send: (n: number) => void, totals: () => Totals): PreparedSubject {
  let rounds = 0;
  return {
    async once() {
      const start = performance.now();
      for (let n = 1; n <= count; n++) send(n);
      const ms = performance.now() - start;
      rounds++;
      const expected = { count: rounds * count, sum: (rounds * count * (count + 1)) / 2 };
      const { count: counted, sum } = totals();
      if (counted !== expected.count || sum !== expected.sum) {
        throw new Error(`confirmed ${counted} events with sum ${sum}, expected ${expected.count} with ${expected.sum}`);
      }
      return { count, ms };
    },
    async close() {},
  };
}

function totalsOf(snapshot: unknown): Totals {
  return (snapshot as { readonly context: Totals }).context;
}

function plain(logic: AnyActorLogic, count: number): Subject {
  return {
    name: 'xstate alone',
    role: 'limit',
    async prepare() {
      const actor = createActor(logic);
      actor.subscribe({ error: (error) => console.error(error) });
      actor.start();
      return drive(
        count,
        (n) => actor.send({ type: 'inc', n }),
        () => totalsOf(actor.getSnapshot()),
      );
    },
  };
}

function inCell(logic: AnyActorLogic, count: number): Subject {
  return {
    name: 'troupe',
    role: 'ours',
    async prepare() {
      const actor = defineActor({ type: 'bench', logic, persist: true }).create(bareCell());
      await actor.start();
      return drive(
        count,
        (n) => {
          actor.receive(messageOf(n));
        },
        () => totalsOf(actor.snapshot()),
      );
    },
  };
}

/** As the transport hands it over: an object per message, whose id is made only when it is read. */
function messageOf(n: number): Message {
  return { messageId: '', type: 'inc', body: { k: 'v', n }, protocol: 'direct' };
}

function bareCell(): CellContext {
  const nothing = (): void => undefined;
  const refused = (): Promise<never> => Promise.reject(new Error('not in this benchmark'));
  return {
    id: fromUuid('agent', '00000000-0000-7000-8000-000000000001'),
    type: 'bench',
    name: 'bench',
    tenant: 'default',
    node: fromUuid('node', '00000000-0000-7000-8000-000000000002'),
    thread: 1,
    incarnation: 1,
    config: {},
    capabilities: undefined,
    restored: undefined,
    paused: false,
    nowMs: () => performance.now(),
    random: Math.random,
    setTimer: () => nothing,
    log: nothing,
    tell: nothing,
    tellConfirmed: refused,
    ask: refused,
    reply: nothing,
    replyError: nothing,
    deadLetter: nothing,
    request: refused,
    transition: nothing,
    fail: (error) => {
      throw new Error(error.message);
    },
    done: nothing,
    attribute: (fn) => fn(),
  };
}
