// Answers what code in a cell asks the main thread for (CellContext.request). The asker's tenant is the runtime's knowledge, never its word.

import type { AgentHome } from '../agents/agent-home.ts';
import type { AgentService } from '../agents/agent-service.ts';
import type { AgentTree } from '../agents/ports.ts';
import { capabilityRefSchema } from '../contracts/agent.ts';
import { maxAttemptsSchema } from '../contracts/envelope.ts';
import { assertNever, RuntimeError, toWireError } from '../contracts/errors.ts';
import { type AgentId, isId } from '../contracts/ids.ts';
import type { Ambient, Dispose, EventFeed, ThreadPool } from '../contracts/ports.ts';
import type { CallContext, TasksApi } from '../contracts/runtime.ts';
import type { Terminated } from '../contracts/supervision.ts';
import { parseInput } from '../contracts/validation.ts';
import type { CellRequest } from '../contracts/wire.ts';
import type { DurableMessages } from '../messaging/durable-messages.ts';
import type { Topics } from '../messaging/topics.ts';
import type { AgentTimers } from './agent-timers.ts';

export interface RequestParts {
  readonly agents: AgentService;
  readonly home: AgentHome;
  readonly tasks: TasksApi;
  readonly tree: AgentTree;
  readonly pool: ThreadPool;
  readonly topics: Topics;
  readonly timers: AgentTimers;
  readonly durable: DurableMessages;
  readonly feed: EventFeed;
  readonly ambient: Ambient;
  /** The agent a stand-in stands in for. */
  readonly agentOf: (id: AgentId) => AgentId | undefined;
}

const MAX_FOUND = 1_000;

/** One per node. Watches are dropped with `forget` when the watching agent is gone. */
export class CellRequests {
  readonly #parts: () => RequestParts;
  readonly #watches = new Map<AgentId, Map<string, Dispose>>();

  constructor(parts: () => RequestParts) {
    this.#parts = parts;
  }

  async answer(cell: AgentId, request: CellRequest): Promise<unknown> {
    const { agentOf } = this.#parts();
    const stoodInFor = agentOf(cell);
    if (stoodInFor !== undefined && !ofOneAttempt(request)) return request.type === 'agent.save' ? 'fenced' : undefined;
    return this.#answer(stoodInFor ?? cell, request);
  }

  async #answer(cell: AgentId, request: CellRequest): Promise<unknown> {
    const { agents, home, tasks, topics, timers, feed, durable } = this.#parts();
    const resident = home.get(cell);
    if (!resident)
      throw new RuntimeError('actor_not_found', 'the asking agent is not known to this node', {
        details: { id: cell },
      });
    const call: CallContext = { tenant: resident.row.tenant };
    switch (request.type) {
      case 'task.submit':
        return tasks.submit(request.task, call);
      case 'task.result':
        return tasks.wait(request.taskId, { timeoutMs: request.timeoutMs }, call);
      case 'task.progress':
        feed.notice({
          stream: request.taskId,
          type: 'task.progress',
          tenant: call.tenant,
          data: { progress: request.progress, agentId: cell },
        });
        return undefined;
      case 'agent.save':
        return home.save(cell, request.snapshot);
      case 'agent.spawn': {
        const view = await agents.create(
          {
            type: request.agentType,
            ...(request.name === undefined ? {} : { name: request.name }),
            ...(request.config === undefined ? {} : { config: request.config }),
          },
          call,
        );
        await agents.started(view.id);
        return view.id;
      }
      case 'agent.stop':
        return agents.remove(request.id, {}, call);
      case 'agent.find': {
        const capability = parseInput(capabilityRefSchema, request.capability, 'capability').replace(/@.*/, '');
        const page = await agents.list({ capability, limit: MAX_FOUND }, call);
        return page.items.filter(({ state }) => state === 'idle' || state === 'running').map(({ id }) => id);
      }
      case 'watch':
        return this.#watch(cell, request.id, call.tenant);
      case 'unwatch':
        return this.#unwatch(cell, request.id);
      case 'subscribe':
        return topics.subscribe(call.tenant, request.topic, cell);
      case 'unsubscribe':
        return topics.unsubscribe(call.tenant, request.topic, cell);
      case 'publish':
        return topics.publish(call.tenant, request.topic, request.messageType, request.body, cell);
      case 'message.send': {
        const { to, messageType, body, maxAttempts } = request;
        if (!isId('agent', to)) throw new RuntimeError('actor_not_found', 'no such agent', { details: { id: to } });
        if (maxAttempts !== undefined) parseInput(maxAttemptsSchema, maxAttempts, 'maxAttempts');
        return durable.send({
          ...{ tenant: call.tenant, to, from: cell, type: messageType, body },
          ...(maxAttempts === undefined ? {} : { maxAttempts }),
        });
      }
      case 'timer.set':
        return timers.set(cell, request.key, request.afterMs, request.body);
      case 'timer.clear':
        return timers.clear(cell, request.key);
      default:
        return assertNever(request);
    }
  }

  /** Ends everything an agent had asked for: it is gone. */
  forget(cell: AgentId): void {
    for (const dispose of this.#watches.get(cell)?.values() ?? []) dispose();
    this.#watches.delete(cell);
    this.#parts().topics.forget(cell);
  }

  #watch(cell: AgentId, target: string, tenant: string): void {
    const { agents, pool, ambient } = this.#parts();
    this.#unwatch(cell, target);
    const tell = (end: Terminated): void => {
      this.#watches.get(cell)?.delete(target);
      pool.signal(cell, end).catch((error: unknown) => {
        ambient.log.debug('a watcher was gone before its notice', {
          watcher: cell,
          watched: target,
          error: String(error),
        });
      });
    };
    const mine = this.#watches.get(cell) ?? new Map<string, Dispose>();
    this.#watches.set(cell, mine);
    const watching = agents.watch(target, tell, { tenant });
    watching.catch((error: unknown) => {
      // The database did not answer: nobody can say that it lives.
      const id = target as AgentId;
      tell({ type: 'terminated', id, reason: 'not_found', error: toWireError(error) });
    });
    mine.set(target, () => void watching.then((dispose) => dispose()).catch(() => undefined));
  }

  #unwatch(cell: AgentId, target: string): void {
    this.#watches.get(cell)?.get(target)?.();
    this.#watches.get(cell)?.delete(target);
  }
}

/** A stand-in acts in the name of its agent; but what would outlast its one attempt, or bring mail, is not done for it. */
function ofOneAttempt({ type }: CellRequest): boolean {
  switch (type) {
    case 'agent.save':
    case 'watch':
    case 'unwatch':
    case 'subscribe':
    case 'unsubscribe':
    case 'timer.set':
    case 'timer.clear':
      return false;
    case 'task.submit':
    case 'task.result':
    case 'task.progress':
    case 'agent.spawn':
    case 'agent.stop':
    case 'agent.find':
    case 'publish':
    case 'message.send':
      return true;
    default:
      return assertNever(type);
  }
}
