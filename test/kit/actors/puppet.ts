// A plain actor that does what its messages say: counts, answers, sends, blocks, throws. For tests and benchmarks of threads.

import {
  ACTOR_DEFINITION,
  type ActorDefinition,
  type CellBehavior,
  type CellContext,
} from '../../../runtime/contracts/actor.ts';
import type { Message } from '../../../runtime/contracts/envelope.ts';
import { wireError } from '../../../runtime/contracts/errors.ts';
import type { AgentId } from '../../../runtime/contracts/ids.ts';
import type { TaskAssignment, TaskOutcome } from '../../../runtime/contracts/task.ts';
import type { CellSignal } from '../../../runtime/contracts/wire.ts';

type Body = Record<string, unknown>;
const pause = (cell: CellContext, ms: number) => new Promise<void>((resolve) => void cell.setTimer(ms, resolve));

class Puppet implements CellBehavior {
  readonly #cell: CellContext;
  #count = 0;
  #sum = 0;
  #lastBy = new Map<string, number>();
  #disorder = 0;
  #undelivered: unknown[] = [];
  #release: (() => void)[] = [];
  #seen: unknown[] = [];
  #state: 'idle' | 'paused' = 'idle';

  constructor(cell: CellContext) {
    this.#cell = cell;
    const { count } = (cell.restored ?? {}) as { count?: number };
    this.#count = count ?? 0;
  }

  start(): void | Promise<void> {
    const { init } = this.#cell.config;
    if (init === 'throw') throw new Error('no start today');
    if (init === 'hang') return new Promise(() => {});
    if (init === 'spin') for (;;);
    if (init === 'later') return pause(this.#cell, 20);
    this.#cell.transition({ from: 'created', to: 'idle', cause: 'ready' });
  }

  receive(message: Message): void | Promise<void> {
    const body = message.body as Body;
    const cell = this.#cell;
    switch (message.type) {
      case 'inc':
        this.#count++;
        this.#sum += body.n as number;
        return;
      case 'ordered': {
        const by = message.from ?? 'outside';
        const last = this.#lastBy.get(by) ?? 0;
        if ((body.n as number) !== last + 1) this.#disorder++;
        this.#lastBy.set(by, body.n as number);
        this.#count++;
        return;
      }
      case 'slow':
        this.#seen.push(body.n);
        return pause(cell, (body.ms as number) ?? 1);
      case 'block-mailbox':
        return new Promise((resolve) => this.#release.push(resolve));
      case 'note':
        this.#seen.push(message.body);
        return;
      case 'who':
        return cell.reply(message, { thread: cell.thread, incarnation: cell.incarnation, from: message.from ?? null });
      case 'echo':
        return cell.reply(message, message.body);
      case 'reply-later':
        cell.setTimer(body.ms as number, () => cell.reply(message, message.body));
        return;
      case 'never':
        return;
      case 'fail-reply':
        return cell.replyError(message, wireError('handler_failed', 'as you wish'));
      case 'reply-function':
        return cell.reply(message, () => 1);
      case 'report':
        return cell.reply(message, {
          count: this.#count,
          sum: this.#sum,
          disorder: this.#disorder,
          undelivered: this.#undelivered,
          seen: this.#seen,
        });
      case 'send': {
        const { to, type, times, confirmEvery } = body as {
          to: AgentId;
          type: string;
          times: number;
          confirmEvery?: number;
        };
        if (confirmEvery) return this.#sendConfirmed(to, type, times, confirmEvery, message);
        for (let n = 1; n <= times; n++) cell.tell(to, type, { n });
        cell.reply(message, null);
        return;
      }
      case 'tell-confirmed':
        return cell
          .tellConfirmed(body.to as AgentId, body.type as string, body.body)
          .then((result) => cell.reply(message, result));
      case 'tell-function':
        cell.tell(body.to as AgentId, 'note', { f: () => 1 });
        return;
      case 'ask-function':
        return cell
          .ask(body.to as AgentId, 'echo', () => 1, { timeoutMs: 1_000 })
          .then(
            () => cell.reply(message, 'answered'),
            (error) => cell.reply(message, (error as { code: string }).code),
          );
      case 'ask':
        return cell
          .ask(body.to as AgentId, body.type as string, body.body, { timeoutMs: (body.timeoutMs as number) ?? 5_000 })
          .then(
            (reply) => cell.reply(message, { reply }),
            (error) => cell.reply(message, { code: (error as { code: string }).code }),
          );
      case 'ask-many':
        return this.#askMany(message, body as { to: AgentId; times: number; inFlight: number });
      case 'request':
        return cell.request(body.request as never).then(
          (reply) => cell.reply(message, { reply }),
          (error) => cell.reply(message, { code: (error as { code: string }).code }),
        );
      case 'spin':
        for (;;);
      case 'work': {
        const end = cell.nowMs() + (body.ms as number);
        while (cell.nowMs() < end);
        return;
      }
      case 'throw':
        throw new Error('thrown in the handler');
      case 'throw-later':
        setTimeout(() => {
          throw new Error('thrown later');
        }, 1);
        return;
      case 'reject-later':
        void Promise.resolve().then(() => {
          throw new Error('rejected later');
        });
        return;
      case 'fail':
        return cell.fail(wireError('agent_crashed', 'failed itself'));
      case 'done':
        return cell.done({ count: this.#count });
      case 'exit':
        process.exit(3);
        break;
      case 'no-timers':
        // The loop turns on, yet nothing that waits for a time ever happens in this thread again.
        globalThis.setTimeout = (() => ({})) as unknown as typeof setTimeout;
    }
  }

  async #sendConfirmed(to: AgentId, type: string, times: number, every: number, message: Message): Promise<void> {
    let refused = 0;
    let checksum = 0;
    // Two windows are under way: while one is acknowledged the next is sent.
    let before: Promise<unknown> = Promise.resolve();
    for (let n = 1; n <= times; n++) {
      checksum += n;
      if (n % every !== 0 && n !== times) {
        this.#cell.tell(to, type, { k: 'v', n });
        continue;
      }
      const confirmed = this.#cell.tellConfirmed(to, type, { k: 'v', n }).then((result) => {
        if (result.outcome !== 'delivered') refused++;
      });
      await before;
      before = confirmed;
    }
    await before;
    this.#cell.reply(message, { refused, checksum });
  }

  async #askMany(
    message: Message,
    { to, times, inFlight }: { to: AgentId; times: number; inFlight: number },
  ): Promise<void> {
    let next = 0;
    let wrong = 0;
    const latencies: number[] = [];
    const lane = async () => {
      while (next < times) {
        const n = next++;
        const begin = performance.now();
        const reply = (await this.#cell.ask(to, 'echo', { k: 'v', n }, { timeoutMs: 30_000 })) as { n: number };
        if (inFlight === 1) latencies.push(performance.now() - begin);
        if (reply.n !== n) wrong++;
      }
    };
    await Promise.all(Array.from({ length: inFlight }, lane));
    latencies.sort((a, b) => a - b);
    this.#cell.reply(message, { wrong, times, p50Ms: latencies[latencies.length >> 1] ?? 0 });
  }

  signal(signal: CellSignal): void | Promise<void> {
    if (signal.type === 'undelivered')
      this.#undelivered.push({ reason: signal.letter.reason, body: signal.letter.body });
    if (signal.type === 'pause') this.#to('paused');
    if (signal.type === 'resume') this.#to('idle');
    if (signal.type === 'task-event') for (const release of this.#release.splice(0)) release();
  }

  #to(state: 'idle' | 'paused'): void {
    const from = this.#state;
    this.#state = state;
    this.#cell.transition({ from, to: state, cause: 'signal' });
  }

  async runTask(task: TaskAssignment, signal: AbortSignal): Promise<TaskOutcome> {
    const input = (task.input ?? {}) as Body;
    const done = (result: unknown): TaskOutcome => ({ type: 'completed', result, runMs: 0 });
    switch (task.capability) {
      case 'test.echo':
        return done(input);
      case 'test.wait':
        return new Promise((resolve) => {
          this.#cell.setTimer(input.ms as number, () => resolve(done('waited')));
          signal.addEventListener('abort', () => resolve({ type: 'cancelled', runMs: 0 }));
        });
      case 'test.deaf':
        return new Promise(() => {});
      case 'test.spin':
        await pause(this.#cell, 1);
        for (;;);
      case 'test.spin-now':
        for (;;);
      case 'test.work': {
        const end = this.#cell.nowMs() + (input.ms as number);
        while (this.#cell.nowMs() < end);
        return done('worked');
      }
      case 'test.throw-later':
        setTimeout(() => {
          throw new Error('thrown later');
        }, 1);
        return new Promise(() => {});
      case 'test.exit':
        return process.exit(3);
      case 'test.function':
        return done(() => 1);
      default:
        throw new Error(`no ${task.capability}`);
    }
  }

  snapshot(): unknown {
    return { count: this.#count };
  }

  state() {
    return this.#state;
  }

  stop(): void {}
}

/** Does what its messages say. */
export const puppet: ActorDefinition = {
  [ACTOR_DEFINITION]: true,
  manifest: {
    type: 'puppet',
    kind: 'actor',
    capabilities: [],
    messages: [],
    mailbox: { capacity: 1_000, overflow: 'reject' },
    supervision: {
      restart: 'transient',
      maxRestarts: 3,
      withinMs: 10_000,
      backoff: { minMs: 100, maxMs: 5_000, factor: 2, jitter: 0.2, resetAfterMs: 60_000 },
      directives: {},
    },
    isolation: 'shared',
    concurrency: 1,
    bids: false,
  },
  create: (cell) => new Puppet(cell),
};

export const notADefinition = { create: 1 };
