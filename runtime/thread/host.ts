// All cells of one thread and what drives them, put together: mail, tasks, starts and ends, routes, what main orders and hears.
// It touches no port and no clock itself: entry.ts hands them in.

import type { DeadLetter, DeadLetterReason, Message } from '../contracts/envelope.ts';
import { toWireError, type WireError } from '../contracts/errors.ts';
import type { AgentId } from '../contracts/ids.ts';
import type { Dispose } from '../contracts/ports.ts';
import type { TaskAssignment } from '../contracts/task.ts';
import type { ControlOp } from '../transport/control.ts';
import type { Delivered, Envelope } from '../transport/envelope.ts';
import {
  ABANDON,
  BEAT,
  CANCEL,
  CELLS,
  HEAP_KB,
  type Introduction,
  MESSAGES_IN,
  MESSAGES_OUT,
  NOTICES,
  OUTCOME,
  OVERDUE,
  PEER_DOWN,
  TASK,
  UNROUTE,
  UTILIZATION_PERMILLE,
} from '../transport/frames.ts';
import type { DataPort, Link } from '../transport/link.ts';
import type { Route } from '../transport/lookups.ts';
import { Peer, type PeerOwner } from '../transport/peer.ts';
import { Wheel } from '../transport/wheel.ts';
import { Attribution } from './attribution.ts';
import type { Cell } from './cell.ts';
import { type CellHost, createCellContext, type Transition } from './cell-context.ts';
import { CellEnds } from './cell-ends.ts';
import { inspectCell } from './cell-inspection.ts';
import { type CellSignalsOwner, signalCell, snapshotCell } from './cell-signals.ts';
import { type CellStartOwner, startCell } from './cell-start.ts';
import { type CellStopOwner, stopCell } from './cell-stop.ts';
import { CellTable } from './cell-table.ts';
import { startCellTimer } from './cell-timers.ts';
import { ControlAnswers } from './control-answers.ts';
import { Delivery } from './delivery.ts';
import { DurableMail } from './durable-mail.ts';
import type { HostEnv, HostOptions } from './host-env.ts';
import { OpenAsks } from './open-asks.ts';
import { OutgoingNotices } from './outgoing-notices.ts';
import { Registry } from './registry.ts';
import { Routes } from './routes.ts';
import { Tap } from './tap.ts';
import { TaskRuns } from './task-runs.ts';

export class Host implements PeerOwner, CellHost, CellStartOwner, CellStopOwner, CellSignalsOwner {
  readonly thread: number;
  readonly node: string;
  readonly label: string;
  readonly env: HostEnv;
  readonly peer: Peer;
  readonly main: Link;
  readonly cells: CellTable;
  readonly attribution: Attribution;
  readonly registry: Registry;
  readonly notices: OutgoingNotices;
  readonly asks: OpenAsks;
  readonly tasks: TaskRuns;
  readonly tap: Tap;
  readonly durable: DurableMail;
  readonly #life: Int32Array;
  readonly #wheel: Wheel;
  readonly #delivery: Delivery;
  readonly #routes: Routes;
  readonly #ends: CellEnds;
  readonly #answers: ControlAnswers;

  constructor({ thread, node, graceMs, life, depths }: HostOptions, env: HostEnv, main: DataPort) {
    this.thread = thread;
    this.node = node;
    this.label = `${node}.${thread}`;
    this.env = env;
    this.cells = new CellTable(depths);
    this.attribution = new Attribution(life, env.scope);
    this.registry = new Registry(env.load);
    this.#life = life;
    this.#wheel = new Wheel(env.clock);
    this.peer = new Peer(this, this.#wheel, env.turn);
    this.main = this.peer.connect(0, main);
    this.notices = new OutgoingNotices(thread, {
      send: (notices, plain) => this.main.control([NOTICES, notices], plain),
      atEnd: env.turn.atEnd,
      nowMs: () => env.clock.monotonicMs(),
      setTimeout: env.clock.setTimeout,
    });
    this.tap = new Tap(this);
    this.tasks = new TaskRuns(
      {
        graceMs,
        thread,
        nowMs: () => env.clock.monotonicMs(),
        outcome: (key, outcome, plain) => this.main.control([OUTCOME, key, outcome], plain),
        within: (cell, task, fn) => this.attribution.within(cell, task, fn),
        fail: (cell, error) => this.fail(cell, error),
      },
      this.#wheel,
    );
    this.durable = new DurableMail(this);
    this.asks = new OpenAsks(this);
    this.#routes = new Routes(this);
    this.#ends = new CellEnds(this);
    this.#delivery = new Delivery(this);
    this.#answers = new ControlAnswers(this.main, this.notices);
  }

  /** Shows main that the loop turns, and what it uses. */
  beat(): void {
    const { heapBytes, utilization } = this.env.usage();
    this.#life[HEAP_KB] = Math.round(heapBytes / 1_024);
    this.#life[UTILIZATION_PERMILLE] = Math.round(utilization * 1_000);
    this.#life[MESSAGES_IN] = this.peer.messagesIn | 0;
    this.#life[MESSAGES_OUT] = this.peer.messagesOut | 0;
    this.#life[CELLS] = this.cells.size;
    Atomics.add(this.#life, BEAT, 1);
  }

  /** Ends every cell at once, without waiting. */
  stop(): void {
    this.tap.stop();
    for (const cell of [...this.cells.all()]) this.end(cell);
    this.notices.flush();
    this.main.flush();
    this.peer.stop();
    this.#wheel.stop();
  }

  /** An exception that nobody caught. True when it could be laid to a cell: that one fails, the thread goes on. */
  uncaught(thrown: unknown): boolean {
    const scope = this.attribution.culprit();
    if (!scope) return false;
    scope.cell.errors++;
    this.fail(scope.cell, toWireError(thrown, 'agent_crashed'), scope.task);
    return true;
  }

  // ---- control plane --------------------------------------------------------------------------------------------------------

  perform(ops: readonly ControlOp[]): void {
    const answers = this.#answers;
    for (const op of ops) {
      const { call } = op;
      switch (op.op) {
        case 'spawn':
          startCell(this, op.spec, {
            started: (residence) => answers.settle(call, residence),
            refused: (error) => answers.reject(call, error),
          });
          break;
        case 'stop':
          answers.whenSettled(call, stopCell(this, op));
          break;
        case 'signal':
          answers.whenSettled(call, signalCell(this, op.id, op.signal));
          break;
        case 'snapshot':
          answers.whenSettled(call, snapshotCell(this, op.id));
          break;
        case 'inspect':
          answers.whenSettled(call, inspectCell(this, op.id));
          break;
        case 'focus':
          this.tap.focus(op.focus);
          answers.settle(call, null);
          break;
        case 'profile':
          answers.whenSettled(call, this.env.profile(op.seconds, op.intervalUs));
          break;
        case 'stats': {
          const nowMs = this.env.clock.monotonicMs();
          answers.settle(
            call,
            [...this.cells.all()].map((cell) => cell.stats(nowMs)),
          );
        }
      }
    }
  }

  // ---- what the parts and the cells ask for -----------------------------------------------------------------------------------

  context(cell: Cell) {
    return createCellContext(this, cell);
  }

  schedule(cell: Cell): void {
    this.#delivery.schedule(cell);
  }

  abortTasks(cell: Cell): void {
    this.tasks.abortAll(cell);
  }

  fail(cell: Cell, error: WireError, culprit = 0): void {
    this.#ends.fail(cell, error, culprit);
  }

  done(cell: Cell, output: unknown): void {
    this.#ends.done(cell, output);
  }

  begun(cell: Cell): void {
    this.tap.started(cell);
  }

  retire(cell: Cell): void {
    this.#ends.retire(cell, 'failed');
  }

  end(cell: Cell): void {
    this.#ends.end(cell);
  }

  remove(cell: Cell): void {
    this.#ends.remove(cell);
  }

  setTimer(cell: Cell, delayMs: number, fn: () => void): Dispose {
    return startCellTimer(this, cell, delayMs, fn);
  }

  transition(cell: Cell, change: Transition): void {
    cell.state = change.to;
    const { id, incarnation } = cell.spec;
    this.notices.push({ type: 'cell.transition', id, incarnation, ...change });
    if (change.from === 'paused' && cell.mailbox.length > 0) this.schedule(cell);
    else if (change.to === 'paused') cell.quiet();
  }

  within<T>(cell: Cell, task: number, fn: () => T): T {
    return this.attribution.within(cell, task, fn);
  }

  taskInScope(cell: Cell): number {
    return this.attribution.taskOf(cell);
  }

  deadLetterOf(cell: Cell, message: Message, reason: DeadLetterReason): void {
    this.asks.deadLetterOf(cell, message, reason);
  }

  // ---- data plane: the owner's side --------------------------------------------------------------------------------------------

  deliverLocally(envelope: Envelope): boolean {
    return this.#delivery.local(envelope);
  }

  deliver(link: Link, sequence: number, slot: number, message: Delivered, timeoutMs: number): void {
    this.#delivery.remote(link, sequence, slot, message, timeoutMs);
  }

  frameEnded(): void {
    this.#delivery.frameEnded();
  }

  unpaused(link: Link, slot: number): void {
    this.cells.at(slot)?.pausedLinks.delete(link);
  }

  route(id: AgentId): Route | undefined {
    return this.#routes.get(id);
  }

  resolve(id: AgentId, stale: Route | undefined): void {
    this.#routes.resolve(id, stale);
  }

  operation(link: Link, flat: readonly unknown[], at: number): void {
    switch (flat[at]) {
      case TASK:
        this.tasks.start(flat[at + 2] as number, this.cells.at(flat[at + 1] as number), flat[at + 3] as TaskAssignment);
        break;
      case CANCEL:
        this.tasks.cancel(flat[at + 1] as number);
        break;
      case ABANDON:
        this.peer.reply(flat[at + 2] as number, link, this.tasks.abandon(flat[at + 1] as number));
        break;
      case OVERDUE: {
        const cell = this.cells.at(flat[at + 1] as number);
        this.tasks.abandon(flat[at + 2] as number);
        if (cell) this.fail(cell, flat[at + 3] as WireError);
        break;
      }
      case UNROUTE:
        this.#routes.forget(flat[at + 1] as AgentId, flat[at + 2] as number);
        break;
      case PEER_DOWN:
        this.peer.links.get(flat[at + 1] as number)?.close();
    }
  }

  other(_link: Link, value: unknown): void {
    const { link, port } = value as Introduction<DataPort>;
    this.peer.connect(link, port);
  }

  down(link: Link): void {
    this.#routes.down(link);
    for (const cell of this.cells.all()) cell.pausedLinks.delete(link);
  }

  deadLetter(letter: DeadLetter): void {
    this.notices.pushRated({ type: 'dead-letter', letter });
  }

  undelivered(fromSlot: number, letter: DeadLetter): void {
    const cell = this.cells.at(fromSlot);
    if (!cell?.live) return;
    signalCell(this, cell.spec.id, { type: 'undelivered', letter }).catch((error) =>
      this.fail(cell, toWireError(error, 'agent_crashed')),
    );
  }
}
