// The library's front: the running system with handles where a person wants to go on talking to what was made.

import type { CreateAgent } from '../contracts/agent.ts';
import { RuntimeError } from '../contracts/errors.ts';
import type { AgentId } from '../contracts/ids.ts';
import type { InspectionApi } from '../contracts/inspection.ts';
import type { MessagesApi } from '../contracts/messages-api.ts';
import type {
  AgentsApi,
  CallContext,
  EventsApi,
  SystemApi,
  TasksApi,
  TroupeRuntime,
  WorkflowsApi,
} from '../contracts/runtime.ts';
import type { SubmitTask } from '../contracts/task.ts';
import type { CreateWorkflow } from '../contracts/workflow.ts';
import { AgentRef, RunHandle, TaskHandle } from './handles.ts';

export interface StartedAgents {
  /** Resolves when the agent has started: idle or paused. Rejects with `init_failed` when its restarts are used up. */
  started(id: AgentId): Promise<void>;
}

export interface TroupeAgents extends AgentsApi, StartedAgents {
  /**
   * Creates an agent and waits until it has started.
   * @throws RuntimeError `unknown_agent_type` (details.known), `not_a_module` for a function or class instead of a type's name,
   * `agent_name_taken`, `init_failed`.
   */
  spawn(type: string, options?: Omit<CreateAgent, 'type'>, call?: CallContext): Promise<AgentRef>;
  /** A handle on an agent that exists. Throws `actor_not_found`. */
  ref(idOrName: string, call?: CallContext): Promise<AgentRef>;
}

export interface TroupeTasks extends TasksApi {
  /** Submits and gives a handle; durable when it resolves. */
  start(task: SubmitTask, call?: CallContext): Promise<TaskHandle>;
}

export interface TroupeWorkflows extends WorkflowsApi {
  /** Creates and starts a workflow in one commit; durable when it resolves. */
  run(workflow: CreateWorkflow, call?: CallContext): Promise<RunHandle>;
}

/** A running node. Stop it with `stop()` or `await using`. */
export interface Troupe extends TroupeRuntime {
  readonly agents: TroupeAgents;
  readonly tasks: TroupeTasks;
  readonly workflows: TroupeWorkflows;
  readonly messages: MessagesApi;
  readonly events: EventsApi;
  readonly system: SystemApi;
  readonly inspection: InspectionApi;
  stop(): Promise<void>;
}

const DEFAULT_CALL: CallContext = { tenant: 'default' };

/** Puts the handles on top of a running system. */
export function withHandles(runtime: TroupeRuntime & { readonly agents: AgentsApi & StartedAgents }): Troupe {
  const agents: TroupeAgents = Object.assign(bound(runtime.agents), {
    async spawn(type: string, options: Omit<CreateAgent, 'type'> = {}, call = DEFAULT_CALL) {
      const view = await runtime.agents.create({ ...options, type: moduleType(type) }, call);
      await runtime.agents.started(view.id);
      return new AgentRef(runtime, view, call);
    },
    async ref(idOrName: string, call = DEFAULT_CALL) {
      return new AgentRef(runtime, await runtime.agents.get(idOrName, call), call);
    },
  });
  const tasks: TroupeTasks = Object.assign(bound(runtime.tasks), {
    async start(task: SubmitTask, call = DEFAULT_CALL) {
      return new TaskHandle(runtime, (await runtime.tasks.submit(task, call)).id, call);
    },
  });
  const workflows: TroupeWorkflows = Object.assign(bound(runtime.workflows), {
    async run(workflow: CreateWorkflow, call = DEFAULT_CALL) {
      const { id } = await runtime.workflows.create(workflow, call, { start: true });
      return new RunHandle(runtime, id, call);
    },
  });
  const messages: MessagesApi = Object.assign(bound(runtime.messages), {
    channels: bound(runtime.messages.channels),
  });
  const stop = () => runtime.system.stop();
  return {
    agents,
    tasks,
    workflows,
    messages,
    events: runtime.events,
    history: runtime.history,
    system: runtime.system,
    inspection: runtime.inspection,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** The methods of a service as plain functions: private fields are reachable only through the instance itself. */
function bound<Service extends object>(service: Service): Service {
  const names = new Set([...Object.getOwnPropertyNames(Object.getPrototypeOf(service)), ...Object.keys(service)]);
  const methods = [...names].flatMap((name) => {
    const value: unknown = Reflect.get(service, name);
    return typeof value === 'function' && name !== 'constructor' ? [[name, value.bind(service)]] : [];
  });
  return Object.fromEntries(methods) as Service;
}

/** Functions and classes cannot cross threads; say so where somebody tries. */
function moduleType(type: unknown): string {
  if (typeof type === 'string') return type;
  throw new RuntimeError(
    'not_a_module',
    'spawn takes the name of an agent type: agents live in worker threads and functions cannot cross. Export defineAgent({ type, ... }) from a module, name its folder in `agents`, and spawn it by its type',
  );
}
