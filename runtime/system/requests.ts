// Answers what code in a cell asks the main thread for (CellContext.request). The asker's tenant is the runtime's knowledge, never its word.

import type { AgentHome } from '../agents/agent-home.ts';
import type { AgentService } from '../agents/agent-service.ts';
import type { AgentTree } from '../agents/ports.ts';
import { capabilityRefSchema } from '../contracts/agent.ts';
import { maxAttemptsSchema } from '../contracts/envelope.ts';
import { assertNever, RuntimeError, toWireError } from '../contracts/errors.ts';
import { type AgentId, isId } from '../contracts/ids.ts';
import { messageTypeSchema, type Offers } from '../contracts/messages.ts';
import type { Ambient, Dispose, EventFeed, ThreadPool } from '../contracts/ports.ts';
import type { CallContext, TasksApi } from '../contracts/runtime.ts';
import type { Terminated } from '../contracts/supervision.ts';
import { outsideSpans } from '../contracts/tracing.ts';
import { parseInput } from '../contracts/validation.ts';
import type { CellRequest, TracedRequest } from '../contracts/wire.ts';
import type { DurableMessages } from '../messaging/durable-messages.ts';
import type { Sender } from '../messaging/fan-out.ts';
import type { Receptionist } from '../messaging/receptionist.ts';
import type { Router } from '../messaging/router.ts';
import type { Subscriptions } from '../messaging/subscriptions.ts';
import type { AgentTimers } from './agent-timers.ts';

export interface RequestParts {
  readonly agents: AgentService;
  readonly home: AgentHome;
  readonly tasks: TasksApi;
  readonly tree: AgentTree;
  readonly pool: ThreadPool;
  readonly router: Router;
  readonly subscriptions: Subscriptions;
  readonly receptionist: Receptionist;
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
  readonly #follows = new Map<AgentId, Map<string, Dispose>>();

  constructor(parts: () => RequestParts) {
    this.#parts = parts;
  }

  async answer(cell: AgentId, request: TracedRequest): Promise<unknown> {
    const { agentOf } = this.#parts();
    const stoodInFor = agentOf(cell);
    if (stoodInFor !== undefined && !ofOneAttempt(request)) return request.type === 'agent.save' ? 'fenced' : undefined;
    // The port of a thread belongs to whatever was active when the thread was made.
    return outsideSpans(() => this.#answer(stoodInFor ?? cell, request));
  }

  async #answer(cell: AgentId, request: TracedRequest): Promise<unknown> {
    const { agents, home, tasks, router, subscriptions, timers, feed, durable, pool } = this.#parts();
    const resident = home.get(cell);
    if (!resident)
      throw new RuntimeError('actor_not_found', 'the asking agent is not known to this node', {
        details: { id: cell },
      });
    const { traceparent } = request;
    const trace = traceparent === undefined ? {} : { traceparent };
    const call: CallContext = { tenant: resident.row.tenant, ...trace };
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
      case 'task.usage':
        return pool.noteUsage(request.taskId, request.fence, request.usage);
      case 'agent.save':
        return this.#save(cell, request.snapshot);
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
        return subscriptions.subscribeSelf(cell, wishOf(request), call.tenant);
      case 'unsubscribe':
        return subscriptions.unsubscribe({ agent: cell, ...wishOf(request) }, call);
      case 'join':
        return router.channels.join(request.channel, { agents: [cell], ...whereOf(request) }, call).then(nothing);
      case 'leave':
        return router.channels.leave(request.channel, { agents: [cell] }, call).then(nothing);
      case 'follow':
        return this.#follow(cell, request.capability, call.tenant);
      case 'unfollow':
        return this.#unfollow(cell, request.capability);
      case 'publish':
        return router.publishAs(senderOf(cell, call, request.hops), request.topic, contentOf(request));
      case 'broadcast':
        return router.broadcastAs(senderOf(cell, call, request.hops), request.channel, contentOf(request));
      case 'multicast':
        return router.multicastAs(senderOf(cell, call, request.hops), request.select, contentOf(request));
      case 'message.send': {
        const { to, messageType, body, maxAttempts } = request;
        if (!isId('agent', to)) throw new RuntimeError('actor_not_found', 'no such agent', { details: { id: to } });
        if (maxAttempts !== undefined) parseInput(maxAttemptsSchema, maxAttempts, 'maxAttempts');
        return durable.send({
          ...{ tenant: call.tenant, to, from: cell, type: messageType, body, ...trace },
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
    for (const dispose of this.#follows.get(cell)?.values() ?? []) dispose();
    this.#follows.delete(cell);
  }

  #follow(cell: AgentId, capability: string, tenant: string): void {
    const { receptionist, pool, ambient } = this.#parts();
    this.#unfollow(cell, capability);
    const tell = ({ agents }: Offers): void => {
      pool.signal(cell, { type: 'offers', capability, agents }).catch((error: unknown) => {
        ambient.log.debug('a follower was gone before its notice', { agent: cell, capability, error: String(error) });
      });
    };
    const mine = this.#follows.get(cell) ?? new Map<string, Dispose>();
    mine.set(capability, receptionist.follow(capability, tenant, tell));
    this.#follows.set(cell, mine);
  }

  #unfollow(cell: AgentId, capability: string): void {
    this.#follows.get(cell)?.get(capability)?.();
    this.#follows.get(cell)?.delete(capability);
  }

  /** @throws RuntimeError `fenced`: nothing of it was kept, and who saves must not believe it was. */
  async #save(cell: AgentId, snapshot: unknown): Promise<'saved'> {
    const result = await this.#parts().home.save(cell, snapshot);
    if (result === 'saved') return result;
    const message = 'the agent has gone on elsewhere; its state was not saved';
    throw new RuntimeError('fenced', message, { details: { id: cell } });
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

const nothing = (): undefined => undefined;

type Wish = Extract<CellRequest, { type: 'subscribe' }>;

const wishOf = ({ topic, messageType, where }: Pick<Wish, 'topic' | 'messageType' | 'where'>) => ({
  ...(topic === undefined ? {} : { topic }),
  ...(messageType === undefined ? {} : { type: messageType }),
  ...(where === undefined ? {} : { where }),
});

const whereOf = ({ where }: Pick<Wish, 'where'>) => (where === undefined ? {} : { where });

const contentOf = ({ messageType, body }: { readonly messageType: string; readonly body: unknown }) => ({
  type: parseInput(messageTypeSchema, messageType, 'type'),
  body,
});

const senderOf = (from: AgentId, { tenant, traceparent }: CallContext, hops: number | undefined): Sender => ({
  tenant,
  from,
  ...(traceparent === undefined ? {} : { traceparent }),
  ...(hops === undefined ? {} : { hops }),
});

/** A stand-in acts in the name of its agent; but what would outlast its one attempt, or bring mail, is not done for it. */
function ofOneAttempt({ type }: CellRequest): boolean {
  switch (type) {
    case 'agent.save':
    case 'watch':
    case 'unwatch':
    case 'subscribe':
    case 'unsubscribe':
    case 'join':
    case 'leave':
    case 'follow':
    case 'unfollow':
    case 'timer.set':
    case 'timer.clear':
      return false;
    case 'task.submit':
    case 'task.result':
    case 'task.progress':
    case 'task.usage':
    case 'agent.spawn':
    case 'agent.stop':
    case 'agent.find':
    case 'publish':
    case 'message.send':
    case 'broadcast':
    case 'multicast':
      return true;
    default:
      return assertNever(type);
  }
}
