// What a behaviour may do, bound to its incarnation: once that has ended, nothing it still does has an effect.

import type { CellContext } from '../contracts/actor.ts';
import type { AgentState } from '../contracts/agent.ts';
import type { DeadLetterReason, Message } from '../contracts/envelope.ts';
import { RuntimeError, toWireError, type WireError, wireError } from '../contracts/errors.ts';
import type { NodeId } from '../contracts/ids.ts';
import type { Dispose } from '../contracts/ports.ts';
import { openedTraceparent } from '../contracts/tracing.ts';
import { Delivered, type Meta } from '../transport/envelope.ts';
import { REQUEST } from '../transport/frames.ts';
import type { Link } from '../transport/link.ts';
import type { Peer } from '../transport/peer.ts';
import { portable } from '../transport/plain.ts';
import type { Cell } from './cell.ts';
import type { DurableMail } from './durable-mail.ts';
import type { OutgoingNotices } from './outgoing-notices.ts';
import type { Tap } from './tap.ts';

/** What a context needs of the thread its cell lives in. */
export interface CellHost {
  readonly thread: number;
  readonly node: string;
  readonly env: { readonly nowMs: () => number; readonly random: () => number };
  readonly peer: Peer;
  readonly main: Link;
  readonly notices: OutgoingNotices;
  readonly tap: Tap;
  readonly durable: DurableMail;
  setTimer(cell: Cell, delayMs: number, fn: () => void): Dispose;
  transition(cell: Cell, change: Transition): void;
  fail(cell: Cell, error: WireError): void;
  done(cell: Cell, output: unknown): void;
  within<T>(cell: Cell, task: number, fn: () => T): T;
  taskInScope(cell: Cell): number;
  deadLetterOf(cell: Cell, message: Message, reason: DeadLetterReason): void;
}

export interface Transition {
  readonly from: AgentState;
  readonly to: AgentState;
  readonly cause: string;
  readonly error?: WireError;
}

/** A call to main without a time limit of its own. */
const REQUEST_TIMEOUT_MS = 30_000;

export function createCellContext(host: CellHost, cell: Cell): CellContext {
  const { spec } = cell;
  const stamp = { from: spec.id, fromSlot: cell.slot };
  const ended = () => new RuntimeError('agent_stopped', `this incarnation of ${spec.id} has ended`);
  return {
    id: spec.id,
    type: spec.type,
    name: spec.name,
    tenant: spec.tenant,
    node: host.node as NodeId,
    thread: host.thread,
    incarnation: spec.incarnation,
    config: spec.config,
    capabilities: spec.capabilities,
    restored: spec.restored,
    paused: spec.paused,
    nowMs: host.env.nowMs,
    random: host.env.random,
    setTimer: (delayMs, fn) => host.setTimer(cell, delayMs, fn),
    log: (line) => host.notices.pushRated({ type: 'log', id: spec.id, thread: host.thread, line }),
    tell: (to, type, body) => {
      if (!cell.live) return;
      cell.sent++;
      host.peer.tell(to, type, body, traced(stamp));
    },
    tellConfirmed: (to, type, body) => {
      if (!cell.live) return Promise.resolve({ outcome: 'refused', reason: 'actor_stopped' });
      cell.sent++;
      return host.peer.tellConfirmed(to, type, body, traced(stamp));
    },
    ask: (to, type, body, options) => {
      if (!cell.live) return Promise.reject(ended());
      cell.sent++;
      const { timeoutMs, signal } = options;
      // Written out: this runs for every question, and a spread costs several times as much.
      return host.peer.ask(to, type, body, {
        from: spec.id,
        fromSlot: cell.slot,
        meta: activeMeta(),
        timeoutMs,
        signal,
      });
    },
    reply: (message, body) => {
      if (host.durable.reply(cell, message, body)) {
        cell.replied++;
        if (host.tap.messages) host.tap.replied(cell, message, 'reply', body);
        return;
      }
      const open = take(cell, message.correlationId);
      if (!open) return;
      cell.replied++;
      if (host.tap.messages) host.tap.replied(cell, message, 'reply', body);
      host.peer.reply(open.correlation, open.origin, body);
    },
    replyError: (message, error) => {
      const open = take(cell, message.correlationId);
      if (!open) return;
      if (host.tap.messages) host.tap.replied(cell, message, 'error', error);
      cell.replied++;
      host.peer.replyError(open.correlation, open.origin, error);
    },
    deadLetter: (message, reason) => host.deadLetterOf(cell, message, reason),
    request: (request) => {
      if (!cell.live) return Promise.reject(ended());
      const timeoutMs = request.type === 'task.result' ? request.timeoutMs + 1_000 : REQUEST_TIMEOUT_MS;
      let carried: ReturnType<typeof portable>;
      try {
        const traceparent = openedTraceparent();
        carried = portable(traceparent === undefined ? request : { ...request, traceparent });
      } catch (error) {
        return Promise.reject(new RuntimeError('not_cloneable', toWireError(error).message));
      }
      return host.peer.asks.open(
        { to: 'main', from: spec.id, type: request.type },
        timeoutMs,
        undefined,
        (correlation) => {
          host.peer.asks.sentTo(correlation, 0);
          host.main.control([REQUEST, correlation, cell.slot, carried.value], carried.plain);
        },
      );
    },
    transition: (change) => {
      if (!cell.live) return;
      host.transition(cell, change);
    },
    fail: (error) => host.fail(cell, error),
    done: (output) => host.done(cell, output),
    attribute: (fn) => host.within(cell, host.taskInScope(cell), fn),
  };
}

/** What is sent while a span is active goes on in its trace. */
function activeMeta(): Meta | null {
  const traceparent = openedTraceparent();
  return traceparent === undefined ? null : { traceparent };
}

function traced<Stamp extends object>(stamp: Stamp): Stamp & { readonly meta?: Meta } {
  const meta = activeMeta();
  return meta === null ? stamp : { ...stamp, meta };
}

/** Takes an ask off the open ones: the second reply to it has no effect. */
function take(cell: Cell, correlationId: string | undefined) {
  if (correlationId === undefined) return undefined;
  const open = cell.openAsks.get(correlationId);
  if (!open) return undefined;
  cell.openAsks.delete(correlationId);
  return Delivered.route(open.message);
}

/** Why an ask to a cell that ended is answered so. */
export const crashedError = (cell: Cell, why: string) =>
  wireError('agent_crashed', `${cell.spec.id} failed before it replied: ${why}`);
