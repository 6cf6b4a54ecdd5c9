// The actor system of a node: opens what it stands on, composes its parts, starts them in order under the supervision tree, stops them in reverse.
// The only file (with its parts in system/) where the folders of the runtime meet; system/parts.ts says how a new part is wired in.

import type { AgentService } from './agents/agent-service.ts';
import type { HistoryApi } from './contracts/history.ts';
import type { InspectionApi } from './contracts/inspection.ts';
import type { MessagesApi } from './contracts/messages-api.ts';
import type { EventsApi, SystemApi, TroupeRuntime } from './contracts/runtime.ts';
import { composeNode } from './system/compose.ts';
import { type Foundation, openFoundation, type SystemOptions } from './system/foundation.ts';
import { createHistoryApi } from './system/history-api.ts';
import { NodeLifecycle } from './system/lifecycle.ts';
import { carryNotices } from './system/notices.ts';
import type { NodeParts } from './system/parts.ts';
import { createSystemApi } from './system/system-api.ts';
import type { TaskService } from './tasks/task-service.ts';
import type { WorkflowService } from './workflows/workflow-service.ts';

export { ESCALATED_EXIT_CODE, LEASE_LOST_EXIT_CODE, STORE_GONE_EXIT_CODE } from './system/exit-codes.ts';
export type { SystemOptions };

/**
 * Opens the store, takes the lease, starts threads, agents and work, and takes up what a former incarnation left.
 * @throws RuntimeError `store_locked`, `store_foreign`, `store_unavailable`, `schema_version`, `not_a_module`, `config_invalid`.
 */
export async function startSystem(options: SystemOptions): Promise<TroupeRuntime & { readonly agents: AgentService }> {
  const foundation = await openFoundation(options);
  try {
    const system = new NodeSystem(foundation);
    await system.start();
    return system;
  } catch (error) {
    await foundation.wire?.close();
    await foundation.store.close();
    throw error;
  }
}

/** What the doors of a node get. Its states are those of {@link NodeLifecycle}. */
class NodeSystem implements TroupeRuntime {
  readonly agents: AgentService;
  readonly tasks: TaskService;
  readonly workflows: WorkflowService;
  readonly messages: MessagesApi;
  readonly events: EventsApi;
  readonly history: HistoryApi;
  readonly system: SystemApi;
  readonly inspection: InspectionApi;
  readonly #lifecycle: NodeLifecycle;

  constructor(foundation: Foundation) {
    this.#lifecycle = new NodeLifecycle(() => parts);
    const parts: NodeParts = composeNode(foundation, this.#lifecycle);
    carryNotices(parts);
    this.agents = parts.agents;
    this.tasks = parts.tasks;
    this.workflows = parts.workflows;
    this.messages = parts.router;
    this.events = parts.events;
    this.history = createHistoryApi(parts);
    this.inspection = parts.inspection;
    this.system = createSystemApi(parts, this.#lifecycle);
  }

  start(): Promise<void> {
    return this.#lifecycle.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.system.stop();
  }
}
