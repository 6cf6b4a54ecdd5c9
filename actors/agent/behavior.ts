// The life of an agent inside its cell: messages to handlers, tasks to capabilities, commands to the lifecycle.

import type { CellBehavior, CellContext, DurableOutcome } from '../../runtime/contracts/actor.ts';
import type { AgentMetrics, AgentState } from '../../runtime/contracts/agent.ts';
import { CALL_FOR_BIDS } from '../../runtime/contracts/coordination.ts';
import type { Message } from '../../runtime/contracts/envelope.ts';
import { assertNever, RuntimeError, toWireError, wireError } from '../../runtime/contracts/errors.ts';
import type { BehaviorInspection, RawXState } from '../../runtime/contracts/inspection-wire.ts';
import { CHANNEL_DELETED } from '../../runtime/contracts/messages.ts';
import type { TaskAssignment, TaskOutcome } from '../../runtime/contracts/task.ts';
import type { CellSignal } from '../../runtime/contracts/wire.ts';
import { AgentCore } from './agent-core.ts';
import { runAttempt } from './attempt.ts';
import { bidHandler } from './bid.ts';
import type { Capability } from './capability.ts';
import { CoreContext } from './core-context.ts';
import type { AgentEvents, AgentEventType } from './events.ts';
import { ExecutionMetrics } from './execution-metrics.ts';
import { acceptance, compileHandlers, type MessageHandler } from './handlers.ts';
import { Lifecycle, type LifecycleChange } from './lifecycle.ts';
import type { ResolvedAgent } from './options.ts';
import { DurableContext, ReceivedContext } from './received-context.ts';
import { initialState } from './state.ts';
import { type Validated, validateAsync } from './validation.ts';

/** What all agents of a type in a thread share. */
export interface AgentType {
  readonly agent: ResolvedAgent;
  readonly handlers: ReadonlyMap<string, MessageHandler>;
  readonly capabilities: ReadonlyMap<string, Capability>;
  /** What may enter the mailbox; absent: everything. */
  readonly accepts?: (message: Message) => boolean;
}

export function agentType(agent: ResolvedAgent): AgentType {
  const handlers = new Map(compileHandlers(agent.on));
  if (agent.bid) handlers.set(CALL_FOR_BIDS, bidHandler(agent.bid));
  const accepts = acceptance(agent);
  return {
    agent,
    handlers,
    capabilities: new Map(Object.entries(agent.capabilities)),
    ...(accepts ? { accepts } : {}),
  };
}

const NO_TASKS = new ExecutionMetrics();

/** One incarnation of an agent. Its states are the lifecycle's. */
export class AgentBehavior implements CellBehavior {
  readonly accepts?: (message: Message) => boolean;
  readonly #agent: ResolvedAgent;
  readonly #cell: CellContext;
  readonly #core: AgentCore;
  readonly #lifecycle: Lifecycle;
  readonly #handlers: ReadonlyMap<string, MessageHandler>;
  /** Made with the first task: most of ten thousand idle agents never have one. */
  #metrics: ExecutionMetrics | undefined;
  readonly #view: CoreContext;
  #offered: ReadonlyMap<string, Capability>;
  /** Messages wait while this is set: paused, or a task runs in an agent that defers. */
  #gate: Gate | undefined;
  #stopped = false;

  constructor(type: AgentType, cell: CellContext) {
    this.#agent = type.agent;
    this.#handlers = type.handlers;
    if (type.accepts) this.accepts = type.accepts;
    this.#cell = cell;
    this.#core = new AgentCore(cell, initialState(type.agent, cell.restored), (capability) => this.#self(capability));
    this.#view = new CoreContext(this.#core);
    this.#offered = cell.capabilities ? offeredBy(type.agent, cell.capabilities) : type.capabilities;
    this.#lifecycle = new Lifecycle({ startPaused: cell.paused, onChange: (change) => this.#changed(change) });
  }

  /** Throws or rejects, and leaves the agent in `error`, when the config does not match or `init` fails. */
  start(): void | Promise<void> {
    this.#lifecycle.send('initialize');
    const config = validateAsync(this.#agent.config, this.#cell.config, 'config_invalid', 'config');
    if (!('ok' in config) || !config.ok || this.#agent.init) return this.#initialise(config);
    this.#core.config = config.value;
    this.#lifecycle.send('ready');
  }

  receive(message: Message): void | Promise<void> {
    if (this.#gate !== undefined) return this.#gate.opened.then(() => this.receive(message));
    const handler = this.#handlers.get(message.type);
    if (handler === undefined) return this.#unhandled(message);
    const ctx = new ReceivedContext(this.#core, message);
    let answer: unknown;
    try {
      answer = handler(message, ctx);
    } catch (error) {
      this.#failed(ctx, error);
      return;
    }
    if (answer === undefined) return;
    if (isThenable(answer)) return this.#settle(answer, ctx);
    ctx.reply(answer);
  }

  receiveDurable(message: Message): DurableOutcome | Promise<DurableOutcome> {
    if (this.#gate !== undefined) return this.#gate.opened.then(() => this.receiveDurable(message));
    const handler = this.#handlers.get(message.type);
    if (handler === undefined) return { type: 'failed', error: this.#noHandler(message), reason: 'no_handler' };
    const ctx = new DurableContext(this.#core, message);
    let answer: unknown;
    try {
      answer = handler(message, ctx);
    } catch (error) {
      this.#failed(ctx, error);
      return ctx.end();
    }
    if (isThenable(answer)) {
      const settled = this.#settle(answer, ctx);
      return settled.then(() => ctx.end());
    }
    if (answer !== undefined) ctx.reply(answer);
    return ctx.end();
  }

  inspect(): BehaviorInspection {
    return { machine: null, context: this.#core.state ?? null };
  }

  observe(observer: (told: RawXState) => void): () => void {
    return this.#lifecycle.observe(observer);
  }

  signal(signal: CellSignal): void | Promise<void> {
    switch (signal.type) {
      case 'pause':
        return this.#lifecycle.send('pause');
      case 'resume':
        return this.#lifecycle.send('resume');
      case 'configure':
        return this.#configure(signal);
      case 'timer':
        return this.#emit('timer', { key: signal.key, body: signal.body });
      case 'undelivered':
        return this.#emit('undelivered', { letter: signal.letter });
      case 'task-event':
        return this.#emit('task-event', { event: signal.event, body: signal.body });
      case 'offers':
        return this.#emit('offers', { capability: signal.capability, agents: signal.agents });
      case 'terminated':
        return this.#emit('terminated', {
          id: signal.id,
          reason: signal.reason,
          ...(signal.error ? { error: signal.error } : {}),
        });
      default:
        return assertNever(signal);
    }
  }

  async runTask(task: TaskAssignment, signal: AbortSignal): Promise<TaskOutcome> {
    const refusal = this.#refusalOf(task);
    if (refusal) return refusal;
    const capability = this.#agent.capabilities[task.capability];
    if (capability === undefined || capability.version !== task.version)
      return unknownCapability(task, this.#agent.type);
    const facts = { taskId: task.taskId, capability: task.capability, attempt: task.attempt };
    this.#lifecycle.send('taskStarted');
    this.#metrics ??= new ExecutionMetrics();
    this.#metrics.started();
    if (this.#agent.deferWhileRunning) this.#gate ??= closedGate();
    this.#emit('task.started', facts);
    const outcome = await runAttempt(this.#core, capability, task, signal);
    this.#metrics.ended(task.capability, outcome);
    // After a crash or a stop the lifecycle no longer counts tasks.
    if (this.#lifecycle.state === 'running') this.#lifecycle.send('taskEnded');
    this.#openUnlessHeld();
    this.#emitEnd(facts, outcome);
    return outcome;
  }

  snapshot(): unknown {
    return this.#core.snapshot();
  }

  state(): AgentState {
    return this.#lifecycle.state;
  }

  metrics(): AgentMetrics['execution'] {
    return (this.#metrics ?? NO_TASKS).report();
  }

  /** Ends the incarnation. After a failed start only what it holds is let go: `terminate` is not called. */
  async stop(): Promise<void> {
    const { state } = this.#lifecycle;
    if (this.#stopped) return;
    this.#stopped = true;
    this.#core.end();
    const terminate = this.#agent.terminate;
    if (terminate && state !== 'error' && state !== 'created') {
      try {
        await this.#cell.attribute(() => terminate.call(this.#agent, this.#view));
      } catch (error) {
        this.#core.handlerFailed('terminate', error);
      }
    }
    if (state !== 'error') this.#lifecycle.send('terminate');
    this.#lifecycle.dispose();
  }

  // ---- messages --------------------------------------------------------------------------------------------------------

  #unhandled(message: Message): void {
    if (isDeletion(message)) {
      this.#emit('channel.deleted', message.body as AgentEvents['channel.deleted']);
      return;
    }
    this.#cell.deadLetter(message, 'no_handler');
    if (message.correlationId === undefined) return;
    this.#cell.replyError(message, this.#noHandler(message));
  }

  #noHandler(message: Message) {
    const known = [...this.#handlers.keys()];
    const text = `agents of type ${this.#agent.type} have no handler for "${message.type}"; they have ${known.join(', ') || 'none'}`;
    return wireError('no_handler', text, { type: message.type, known });
  }

  #settle(answer: PromiseLike<unknown>, ctx: ReceivedContext): Promise<void> {
    return Promise.resolve(answer).then(
      (value) => {
        if (value !== undefined) ctx.reply(value);
      },
      (error) => this.#failed(ctx, error),
    );
  }

  #failed(ctx: ReceivedContext, error: unknown): void {
    ctx.refuse(error);
    this.#core.handlerFailed(`handler of ${ctx.message.type}`, error, ctx.log);
  }

  // ---- tasks -----------------------------------------------------------------------------------------------------------

  #refusalOf(task: TaskAssignment): TaskOutcome | undefined {
    const state = this.#lifecycle.state;
    if (state !== 'idle' && state !== 'running') return { type: 'released', reason: state };
    if (this.#lifecycle.pausing) return { type: 'released', reason: 'pausing' };
    if (this.#lifecycle.running >= this.#agent.concurrency) return { type: 'released', reason: 'busy' };
    const withdrawn = task.capability in this.#agent.capabilities && !this.#offered.has(task.capability);
    return withdrawn ? { type: 'released', reason: 'capability_removed' } : undefined;
  }

  #self(capability: string) {
    const { running } = this.#lifecycle;
    const { concurrency } = this.#agent;
    return {
      id: this.#cell.id,
      name: this.#cell.name,
      type: this.#cell.type,
      config: this.#core.config,
      running,
      concurrency,
      load: running / concurrency,
      capabilities: [...this.#offered.keys()],
      p50Ms: this.#metrics?.p50Ms(capability) ?? 0,
    };
  }

  // ---- life ------------------------------------------------------------------------------------------------------------

  async #initialise(config: Validated | Promise<Validated>): Promise<void> {
    try {
      const checked = await config;
      if (!checked.ok) throw checked.error;
      this.#core.config = checked.value;
      await this.#cell.attribute(() => this.#agent.init?.(this.#view));
    } catch (error) {
      const failure = initFailure(error);
      if (this.#lifecycle.allows('crash')) this.#lifecycle.send('crash', toWireError(failure));
      this.#lifecycle.dispose();
      throw failure;
    }
    // Stopped while initialising: there is nothing to be ready for.
    if (this.#lifecycle.state === 'initializing') this.#lifecycle.send('ready');
  }

  async #configure(change: Extract<CellSignal, { type: 'configure' }>): Promise<void> {
    if (change.config) this.#core.config = await this.#checkedConfig(change.config);
    if (change.capabilities) this.#offered = offeredBy(this.#agent, change.capabilities);
    this.#emit('configured', { capabilities: [...this.#offered.keys()] });
  }

  async #checkedConfig(config: Record<string, unknown>): Promise<unknown> {
    const checked = await validateAsync(this.#agent.config, config, 'config_invalid', 'config');
    if (!checked.ok) throw checked.error;
    return checked.value;
  }

  #changed(change: LifecycleChange): void {
    this.#cell.transition(change);
    if (change.to === 'paused') {
      this.#gate ??= closedGate();
      this.#emit('paused', {});
    } else if (change.from === 'paused') {
      this.#openUnlessHeld();
      if (change.to === 'idle') this.#emit('resumed', {});
    }
  }

  #openUnlessHeld(): void {
    const { state } = this.#lifecycle;
    if (state === 'paused' || (state === 'running' && this.#agent.deferWhileRunning)) return;
    const gate = this.#gate;
    this.#gate = undefined;
    gate?.open();
  }

  #emit<Type extends AgentEventType>(type: Type, event: AgentEvents[Type]): void {
    const handler = this.#agent.events[type];
    if (handler === undefined) return;
    try {
      const done = handler(event, this.#view);
      if (isThenable(done)) done.then(undefined, (error) => this.#core.handlerFailed(`handler of ${type}`, error));
    } catch (error) {
      this.#core.handlerFailed(`handler of ${type}`, error);
    }
  }

  #emitEnd(facts: AgentEvents['task.started'], outcome: TaskOutcome): void {
    switch (outcome.type) {
      case 'completed':
        this.#emit('task.completed', { ...facts, result: outcome.result, runMs: outcome.runMs });
        break;
      case 'failed':
        this.#emit('task.failed', { ...facts, error: outcome.error, runMs: outcome.runMs });
        break;
      case 'timed_out':
        this.#emit('task.timed_out', { ...facts, runMs: outcome.runMs });
        break;
      case 'cancelled':
        this.#emit('task.cancelled', { ...facts, runMs: outcome.runMs });
        break;
      case 'lost':
      case 'released':
      case 'handed_off':
      case 'waiting':
        break;
      default:
        assertNever(outcome);
    }
  }
}

/** Said by the runtime itself: nobody else sends a broadcast without being named or having its channel checked. */
function isDeletion({ type, from, protocol }: Message): boolean {
  return type === CHANNEL_DELETED && from === undefined && protocol === 'broadcast';
}

interface Gate {
  readonly opened: Promise<void>;
  open(): void;
}

function closedGate(): Gate {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}

/** @throws RuntimeError `unknown_capability` naming those the type has. */
function offeredBy(agent: ResolvedAgent, names: readonly string[]): ReadonlyMap<string, Capability> {
  const unknown = names.find((name) => !(name in agent.capabilities));
  if (unknown !== undefined) {
    const known = Object.keys(agent.capabilities);
    throw new RuntimeError(
      'unknown_capability',
      `agents of type ${agent.type} have no capability "${unknown}"; they have ${known.join(', ') || 'none'}`,
      { details: { capability: unknown, known } },
    );
  }
  return new Map(Object.entries(agent.capabilities).filter(([name]) => names.includes(name)));
}

function unknownCapability(task: TaskAssignment, type: string): TaskOutcome {
  const name = `${task.capability}@${task.version}`;
  const error = wireError('unknown_capability', `agents of type ${type} have no capability ${name}`, {
    capability: name,
  });
  return { type: 'failed', error, runMs: 0 };
}

function initFailure(error: unknown): RuntimeError {
  if (error instanceof RuntimeError && error.code === 'config_invalid') return error;
  const { message } = toWireError(error, 'init_failed');
  return new RuntimeError('init_failed', `the agent could not initialise: ${message}`, { cause: error });
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
