// What all contexts of one incarnation of an agent share: its state, and what it asks of its cell.

import type { CellContext } from '../../runtime/contracts/actor.ts';
import { RuntimeError, toWireError } from '../../runtime/contracts/errors.ts';
import type { AgentId } from '../../runtime/contracts/ids.ts';
import type { TaskView } from '../../runtime/contracts/task.ts';
import type { CellRequest, LogSubject } from '../../runtime/contracts/wire.ts';
import type { AgentLog, AgentsOfAgent, DurableTimer, TasksOfAgent } from './context.ts';
import type { BidderSelf } from './options.ts';
import { frozen } from './state.ts';

const DEFAULT_RESULT_TIMEOUT_MS = 60_000;

/** What all contexts of one incarnation share. */
export class AgentCore {
  readonly cell: CellContext;
  config: unknown;
  /** The state was assigned since it was last handed out to be saved. */
  dirty = false;
  /** Handlers of messages and events that threw. */
  handlerErrors = 0;
  readonly #self: (capability: string) => BidderSelf;
  #state: unknown;
  /** While a durable message is handled that has changed the state: how it was, what its handler made of it, and whether others changed it too. */
  #undo: { readonly before: unknown; last: unknown; mixed: boolean; readonly dirty: boolean } | undefined;
  #ended: AbortController | undefined;
  #hasEnded = false;
  #log: AgentLog | undefined;
  #timer: DurableTimer | undefined;
  #tasks: TasksOfAgent | undefined;
  #agents: AgentsOfAgent | undefined;

  constructor(cell: CellContext, state: unknown, self: (capability: string) => BidderSelf) {
    this.cell = cell;
    this.#self = self;
    this.#state = state;
  }

  get state(): unknown {
    return this.#state;
  }

  set state(next: unknown) {
    this.#state = frozen(next);
    this.dirty = true;
  }

  /** What a bidder is told of itself. */
  self(capability: string): BidderSelf {
    return this.#self(capability);
  }

  /** What is restored into the next incarnation; without what a durable message has changed whose handler is not done. */
  snapshot(): unknown {
    return { state: this.#undo && this.#undoable ? this.#undo.before : this.#state };
  }

  /** A change by the handler of a durable message: undone when it fails. */
  changeDurably(next: unknown): void {
    if (!this.#undo) this.#undo = { before: this.#state, last: undefined, mixed: false, dirty: this.dirty };
    else if (this.#undo.last !== this.#state) this.#undo.mixed = true;
    this.state = next;
    this.#undo.last = this.#state;
  }

  /** The handler of a durable message is done. Gives what makes the snapshot of the state it left; undefined when there is nothing to save. */
  keepDurable(): (() => unknown) | undefined {
    const changed = this.dirty || this.#undo !== undefined;
    this.#undo = undefined;
    if (!changed) return undefined;
    this.dirty = false;
    const state = this.#state;
    return () => ({ state });
  }

  /** The handler of a durable message failed: its changes are undone, unless a task has changed the state in between. */
  undoDurable(): void {
    const undo = this.#undo;
    if (undo && this.#undoable) {
      this.#state = undo.before;
      this.dirty = undo.dirty;
    }
    this.#undo = undefined;
  }

  get #undoable(): boolean {
    return this.#undo !== undefined && !this.#undo.mixed && this.#undo.last === this.#state;
  }

  async save(): Promise<void> {
    this.dirty = false;
    try {
      await this.cell.request({ type: 'agent.save', snapshot: this.snapshot() });
    } catch (error) {
      this.dirty = true;
      throw error;
    }
  }

  get ended(): AbortSignal {
    if (this.#ended === undefined) {
      this.#ended = new AbortController();
      if (this.#hasEnded) this.#ended.abort(stopped());
    }
    return this.#ended.signal;
  }

  end(): void {
    this.#hasEnded = true;
    this.#ended?.abort(stopped());
  }

  /** A handler of a message or event threw: counted and logged, and the agent lives on. */
  handlerFailed(what: string, error: unknown, log = this.log): void {
    this.handlerErrors++;
    const { code, message, stack } = toWireError(error, 'handler_failed');
    log.error(`${what} threw`, { code, error: message, ...(stack ? { stack } : {}) });
  }

  get log(): AgentLog {
    this.#log ??= logOf(this.cell);
    return this.#log;
  }

  get timer(): DurableTimer {
    this.#timer ??= {
      set: async (key, afterMs, body) => void (await this.cell.request({ type: 'timer.set', key, afterMs, body })),
      clear: async (key) => void (await this.cell.request({ type: 'timer.clear', key })),
    };
    return this.#timer;
  }

  get tasks(): TasksOfAgent {
    this.#tasks ??= {
      submit: (task) => this.request<TaskView>({ type: 'task.submit', task }),
      result: (taskId, options) =>
        this.request<TaskView>({
          type: 'task.result',
          taskId,
          timeoutMs: options?.timeoutMs ?? DEFAULT_RESULT_TIMEOUT_MS,
        }),
    };
    return this.#tasks;
  }

  get agents(): AgentsOfAgent {
    this.#agents ??= {
      spawn: (agentType, options) => this.request<AgentId>({ type: 'agent.spawn', agentType, ...options }),
      stop: async (id) => void (await this.cell.request({ type: 'agent.stop', id })),
      find: (capability) => this.request<readonly AgentId[]>({ type: 'agent.find', capability }),
      follow: async (capability) => void (await this.cell.request({ type: 'follow', capability })),
      unfollow: async (capability) => void (await this.cell.request({ type: 'unfollow', capability })),
    };
    return this.#agents;
  }

  /** The answers come from our own node, which validated them. */
  request<Answer>(request: CellRequest): Promise<Answer> {
    return this.cell.request(request) as Promise<Answer>;
  }

  sleep(delayMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason);
        return;
      }
      const onAbort = (): void => {
        cancel();
        reject(signal.reason);
      };
      const cancel = this.cell.setTimer(delayMs, () => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      });
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }
}

function stopped(): RuntimeError {
  return new RuntimeError('agent_stopped', 'this incarnation of the agent has ended');
}

/** The log of a cell; its lines say what they are about. */
export function logOf(cell: CellContext, about?: LogSubject): AgentLog {
  const at =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (message: string, fields?: Record<string, unknown>): void =>
      cell.log({ level, message, ...(fields ? { fields } : {}), ...(about ? { about } : {}) });
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
