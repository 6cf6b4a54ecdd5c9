// A TroupeRuntime in memory for tests of the HTTP edge: real rules where the edge depends on them, no threads, no database.
// Tasks end only when a test says so (`end`), so nothing is timed.

import type { ManifestEntry } from '../../runtime/contracts/actor.ts';
import type { AgentState, AgentView } from '../../runtime/contracts/agent.ts';
import { RuntimeError, toWireError } from '../../runtime/contracts/errors.ts';
import type { EventType, RuntimeEvent } from '../../runtime/contracts/event.ts';
import type { AgentsApi, CallContext, TroupeRuntime } from '../../runtime/contracts/runtime.ts';
import type { Page } from '../../runtime/contracts/store.ts';
import {
  isTerminalTask,
  submitTaskSchema,
  TASK_STATES,
  type TaskState,
  type TaskView,
} from '../../runtime/contracts/task.ts';
import {
  createWorkflowSchema,
  PATTERNS,
  type WorkflowState,
  type WorkflowView,
} from '../../runtime/contracts/workflow.ts';
import {
  appendItemsSchema,
  forkWorkflowSchema,
  type InputView,
  inputAnswerSchema,
  workflowSignalSchema,
} from '../../runtime/contracts/workflow-control.ts';
import { createEventFeed } from '../../runtime/observe/event-stream.ts';
import { createEventsApi } from '../../runtime/observe/stream-events.ts';
import type { TestAmbient } from './ambient.ts';
import { type FakeMessages, fakeMessages } from './fake-messages.ts';
import { type MadeUpNode, madeUpNode } from './inspection.ts';

type Owned<View> = { tenant: string; view: View };

export interface FakeRuntime extends TroupeRuntime {
  readonly messages: FakeMessages;
  /** What its inspector looks at. */
  readonly madeUp: MadeUpNode;
  /** Ends a task or workflow and publishes its last event. */
  end(id: string, state: TaskState, result?: unknown): void;
  endWorkflow(id: string, state: WorkflowState): void;
  /** A stored event of a stream, published at once. */
  emit(stream: string, type: EventType, data?: Record<string, unknown>): RuntimeEvent;
  /** A live notice, not stored. */
  notice(stream: string, type: EventType, data?: Record<string, unknown>): void;
  /** Forgets the stored events of a stream up to this one, as retention does. */
  forget(stream: string, upToSeq: number): void;
  setReady(reasons: readonly string[]): void;
  /** The next call of any method throws this. */
  failNext(error: unknown): void;
  /** Open tasks beyond this are refused with queue_full. */
  queueLimit: number;
  readonly calls: { method: string; call: CallContext | undefined }[];
  status: 'running' | 'draining' | 'stopped';
}

const at = '2026-01-01T00:00:00.000Z';
const TYPES: readonly Partial<ManifestEntry>[] = [
  { type: 'probe', active: true },
  { type: 'sleeper', active: false },
];

export function fakeRuntime(ambient: TestAmbient): FakeRuntime {
  const { newId, clock } = ambient;
  const feed = createEventFeed(ambient);
  const stored = new Map<string, RuntimeEvent[]>();
  const agents = new Map<string, Owned<AgentView>>();
  const tasks = new Map<string, Owned<TaskView>>();
  const workflows = new Map<string, Owned<WorkflowView>>();
  const cancels = new Map<string, string>();
  const keys = new Map<string, { body: string; view: unknown }>();
  const waiters = new Map<string, Set<() => void>>();
  const active = new Set(['probe']);
  let reasons: readonly string[] = [];
  let failure: { error: unknown } | undefined;

  const enter = (method: string, call: CallContext | undefined): string => {
    fake.calls.push({ method, call });
    if (failure) {
      const { error } = failure;
      failure = undefined;
      throw error;
    }
    return call?.tenant ?? 'default';
  };
  const intake = (): void => {
    if (fake.status !== 'running')
      throw new RuntimeError('draining', 'The node takes no new work.', { details: { retryAfterMs: 5_000 } });
  };
  const find = <View extends { id: string }>(
    map: Map<string, Owned<View>>,
    idOrName: string,
    tenant: string,
    code: 'actor_not_found' | 'task_not_found' | 'workflow_not_found',
  ): View => {
    const found = [...map.values()].find(
      (row) => row.tenant === tenant && (row.view.id === idOrName || (row.view as { name?: string }).name === idOrName),
    );
    if (!found) throw new RuntimeError(code, `nothing is called ${idOrName}`);
    return found.view;
  };
  const setStatus = (id: string, status: 'paused' | 'running', tenant: string): WorkflowView => {
    const view = { ...runningWorkflow(id, tenant), status };
    workflows.set(view.id, { tenant, view });
    return view;
  };
  const runningWorkflow = (id: string, tenant: string): WorkflowView => {
    const view = find(workflows, id, tenant, 'workflow_not_found');
    if (view.status === 'running' || view.status === 'paused') return view;
    throw new RuntimeError('workflow_state', `The workflow is ${view.status}.`, { details: { status: view.status } });
  };
  const inputOf = (id: string, state: InputView['state']): InputView => ({
    workflowId: id as InputView['workflowId'],
    rootId: id as InputView['rootId'],
    step: 'ask',
    round: 0,
    kind: 'input',
    prompt: 'How many?',
    state,
    answeredBy: null,
    askedAt: at,
    expiresAt: at,
    endedAt: null,
    answerAt: `/api/agents/workflows/${id}/inputs/ask`,
  });
  const once = <View>(
    call: CallContext | undefined,
    body: unknown,
    make: () => View,
    key = call?.idempotencyKey,
  ): View => {
    if (key === undefined) return make();
    const own = `${call?.tenant}/${key}`;
    const known = keys.get(own);
    const text = JSON.stringify(body);
    if (known && known.body !== text)
      throw new RuntimeError('idempotency_mismatch', 'The key was used with another body.');
    const view = known ? (known.view as View) : make();
    keys.set(own, { body: text, view });
    return view;
  };
  const append = (tenant: string, stream: string, type: EventType, data: Record<string, unknown>): RuntimeEvent => {
    const rows = stored.get(stream) ?? [];
    const event: RuntimeEvent = { stream, seq: (rows.at(-1)?.seq ?? 0) + 1, type, tenant, at, data };
    stored.set(stream, [...rows, event]);
    feed.publish([event]);
    return event;
  };
  const tenantOf = (id: string): string => (agents.get(id) ?? tasks.get(id) ?? workflows.get(id))?.tenant ?? 'default';
  const paged = <Item>(
    items: readonly Item[],
    { limit = 50, cursor }: { limit?: number; cursor?: string },
  ): Page<Item> => {
    const from = cursor === undefined ? 0 : Number(cursor);
    if (!Number.isInteger(from))
      throw new RuntimeError('invalid_input', 'cursor: not one of ours', { details: { path: 'cursor' } });
    return {
      items: items.slice(from, from + limit),
      nextCursor: items.length > from + limit ? String(from + limit) : null,
    };
  };
  const change = (id: string, tenant: string, next: Partial<AgentView>): AgentView => {
    const agent = find(agents, id, tenant, 'actor_not_found');
    const view = { ...agent, ...next, version: agent.version + 1 };
    agents.set(agent.id, { tenant, view });
    return view;
  };
  const command = (id: string, tenant: string, event: 'pause' | 'resume'): AgentView => {
    const { state } = find(agents, id, tenant, 'actor_not_found');
    const [from, to]: [AgentState, AgentState] = event === 'pause' ? ['idle', 'paused'] : ['paused', 'idle'];
    if (state !== from)
      throw new RuntimeError('illegal_transition', `${event} is not legal in ${state}`, {
        details: { from: state, event },
      });
    return change(id, tenant, { state: to });
  };
  const until = (id: string, done: () => boolean, timeoutMs: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      if (done()) return resolve();
      const own = waiters.get(id) ?? new Set();
      waiters.set(id, own.add(resolve));
      clock.setTimeout(resolve, timeoutMs);
      signal?.addEventListener('abort', () => resolve());
    });
  const wake = (id: string): void => {
    for (const resolve of waiters.get(id) ?? []) resolve();
    waiters.delete(id);
  };
  const submit = (input: unknown, call: CallContext | undefined): TaskView => {
    intake();
    const tenant = call?.tenant ?? 'default';
    const task = submitTaskSchema.parse(input);
    const open = [...tasks.values()].filter(({ view }) => !isTerminalTask(view.status)).length;
    if (open >= fake.queueLimit)
      throw new RuntimeError('queue_full', 'The queue is full.', {
        details: { retryAfterMs: 2_500, limit: fake.queueLimit },
      });
    const agentId = task.agentId === undefined ? null : find(agents, task.agentId, tenant, 'actor_not_found').id;
    if (task.capability.startsWith('unknown.'))
      throw new RuntimeError('unknown_capability', 'No known type has it.', { details: { path: 'capability' } });
    return once(
      call,
      input,
      () => {
        const view: TaskView = {
          id: newId('task'),
          status: 'queued',
          capability: task.capability.includes('@') ? task.capability : `${task.capability}@1`,
          priority: task.priority,
          input: task.input ?? null,
          attempt: 0,
          maxAttempts: task.retry.maxAttempts,
          attempts: [],
          agentId,
          workflowId: null,
          stepKey: null,
          timings: { submittedAt: at, runAt: at, startedAt: null, endedAt: null, queueWaitMs: null, runMs: null },
        };
        tasks.set(view.id, { tenant, view });
        append(tenant, view.id, 'task.accepted', {});
        return view;
      },
      task.idempotencyKey ?? call?.idempotencyKey,
    );
  };

  const madeUp = madeUpNode(ambient, { feed, agentView: (id, call) => fake.agents.get(id, call) });

  const fake: FakeRuntime = {
    madeUp,
    inspection: madeUp.inspector,
    calls: [],
    queueLimit: 1_000,
    status: 'running',
    agents: {
      async create(agent, call) {
        const tenant = enter('agents.create', call);
        intake();
        if (!active.has(agent.type))
          throw new RuntimeError('unknown_agent_type', `There is no type ${agent.type}.`, {
            details: { path: 'type', known: [...active] },
          });
        return once(call, agent, () => {
          const id = newId('agent');
          const name = agent.name ?? `${agent.type}-${agents.size + 1}`;
          if ([...agents.values()].some((row) => row.tenant === tenant && row.view.name === name))
            throw new RuntimeError('agent_name_taken', `The name ${name} is taken.`);
          const view: AgentView = {
            id,
            type: agent.type,
            name,
            state: 'idle',
            capabilities: [{ name: 'probe.run', version: 1 }],
            config: agent.config ?? {},
            isolation: agent.isolation ?? 'shared',
            node: 'nod_test',
            thread: 1,
            version: 1,
            createdAt: at,
          };
          agents.set(id, { tenant, view });
          append(tenant, id, 'agent.created', { name });
          return view;
        });
      },
      get: async (id, call) => find(agents, id, enter('agents.get', call), 'actor_not_found'),
      async list(filter, call) {
        const tenant = enter('agents.list', call);
        const own = [...agents.values()].filter((row) => row.tenant === tenant).map(({ view }) => view);
        return paged(
          own.filter(
            (view) =>
              (filter.type === undefined || view.type === filter.type) &&
              (filter.state === undefined || view.state === filter.state),
          ),
          filter,
        );
      },
      async update(id, { paused, ...rest }, options, call) {
        const tenant = enter('agents.update', call);
        const { version } = find(agents, id, tenant, 'actor_not_found');
        if (options?.ifVersion !== undefined && options.ifVersion !== version)
          throw new RuntimeError('version_conflict', 'The agent has changed.', { details: { version } });
        const state = paused === undefined ? {} : { state: paused ? ('paused' as const) : ('idle' as const) };
        return change(id, tenant, { ...(rest.config ? { config: rest.config } : {}), ...state });
      },
      pause: async (id, call) => command(id, enter('agents.pause', call), 'pause'),
      resume: async (id, call) => command(id, enter('agents.resume', call), 'resume'),
      async remove(idOrName, options, call) {
        const tenant = enter('agents.remove', call);
        const { id } = find(agents, idOrName, tenant, 'actor_not_found');
        append(tenant, id, 'agent.terminated', {});
        agents.delete(id);
        return { id, mode: options?.mode ?? 'drain', tasksReassigned: [], messagesDeadLettered: 0, afterMs: 1 };
      },
      tell: (async (
        id: string,
        type: string,
        _body: unknown,
        given: Partial<CallContext> & { durable?: boolean } = {},
      ) => {
        const { durable, ...rest } = given;
        const call = { tenant: 'default', ...rest };
        find(agents, id, enter('agents.tell', call), 'actor_not_found');
        if (durable) return { outcome: 'stored', messageId: 'msg_1', duplicate: false };
        if (type === 'full') return { outcome: 'refused', reason: 'mailbox_full' };
        if (type === 'lost') return { outcome: 'unknown', reason: 'target_lost' };
        return { outcome: 'delivered', via: 'message-port' };
      }) as AgentsApi['tell'],
      async ask(id, type, body, options, call) {
        find(agents, id, enter('agents.ask', call), 'actor_not_found');
        if (type === 'slow') throw new RuntimeError('ask_timeout', `No reply within ${options.timeoutMs} ms.`);
        if (type === 'own')
          throw Object.assign(new RuntimeError('handler_failed', 'no stock'), { code: 'out_of_stock' });
        return { echo: body };
      },
      async watch() {
        return () => {};
      },
      types: () => TYPES.map((entry) => manifestEntry({ ...entry, active: active.has(entry.type ?? '') })),
      registerType(type) {
        enter('agents.registerType', undefined);
        active.add(type);
        return manifestEntry({ type, active: true });
      },
    },
    tasks: {
      async submit(task, call) {
        enter('tasks.submit', call);
        return submit(task, call);
      },
      async submitMany(many, call) {
        enter('tasks.submitMany', call);
        intake();
        return many.map((task) => {
          try {
            return { ok: true as const, task: submit(task, call) };
          } catch (error) {
            return { ok: false as const, error: toWireError(error) };
          }
        });
      },
      get: async (id, call) => find(tasks, id, enter('tasks.get', call), 'task_not_found'),
      async list(filter, call) {
        const tenant = enter('tasks.list', call);
        const own = [...tasks.values()].filter((row) => row.tenant === tenant).map(({ view }) => view);
        return paged(
          own.filter((view) => filter.status === undefined || view.status === filter.status),
          filter,
        );
      },
      async cancel(id, _options, call) {
        const tenant = enter('tasks.cancel', call);
        const { status } = find(tasks, id, tenant, 'task_not_found');
        if (isTerminalTask(status) && !cancels.has(id))
          throw new RuntimeError('task_terminal', `The task is ${status}.`, { details: { status } });
        if (!cancels.has(id)) fake.end(id, 'cancelled');
        cancels.set(id, 'before_start');
        return { id: id as TaskView['id'], outcome: 'before_start', afterMs: 0, collateral: [] };
      },
      async answer(id, _answer, call) {
        const tenant = enter('tasks.answer', call);
        return find(tasks, id, tenant, 'task_not_found');
      },
      async inputs(_filter, call) {
        enter('tasks.inputs', call);
        return [];
      },
      async redrive(id, call) {
        const tenant = enter('tasks.redrive', call);
        const { status } = find(tasks, id, tenant, 'task_not_found');
        if (status !== 'dead')
          throw new RuntimeError('illegal_transition', `The task is ${status}.`, {
            details: { from: status, event: 'redrive' },
          });
        fake.end(id, 'queued');
        return find(tasks, id, tenant, 'task_not_found');
      },
      async wait(id, { timeoutMs, signal }, call) {
        const tenant = enter('tasks.wait', call);
        await until(id, () => isTerminalTask(find(tasks, id, tenant, 'task_not_found').status), timeoutMs, signal);
        return find(tasks, id, tenant, 'task_not_found');
      },
    },
    workflows: {
      async create(input, call, options) {
        const tenant = enter('workflows.create', call);
        intake();
        const spec = createWorkflowSchema.parse(input);
        if (!(PATTERNS as readonly string[]).includes(spec.pattern))
          throw new RuntimeError('unknown_pattern', `There is no pattern ${spec.pattern}.`, {
            details: { path: 'pattern' },
          });
        const [first] = spec.tasks;
        if (first?.dependsOn.includes(first.id))
          throw new RuntimeError('workflow_cycle', 'a depends on itself', {
            details: { path: 'tasks[0].dependsOn[0]', cycle: [first.id, first.id] },
          });
        return once(call, input, () => {
          const id = newId('workflow');
          const view: WorkflowView = {
            id,
            name: spec.name,
            pattern: spec.pattern,
            status: options?.start ? 'running' : 'created',
            stopReason: null,
            progress: { done: 0, total: spec.tasks.length },
            tasks: spec.tasks.map((task) => ({
              id: task.id,
              state: 'blocked',
              round: 0,
              dependsOn: task.dependsOn,
              ...(task.capability === undefined ? {} : { capability: task.capability }),
            })),
            decisions: `/api/agents/workflows/${id}/decisions`,
            version: 1,
            createdAt: at,
            startedAt: null,
            endedAt: null,
          };
          workflows.set(id, { tenant, view });
          append(tenant, id, 'workflow.created', {});
          return view;
        });
      },
      async start(id, call) {
        const tenant = enter('workflows.start', call);
        const view = find(workflows, id, tenant, 'workflow_not_found');
        if (view.status !== 'created')
          throw new RuntimeError('workflow_state', `The workflow is ${view.status}.`, {
            details: { status: view.status },
          });
        const next = { ...view, status: 'running' as const, version: view.version + 1, startedAt: at };
        workflows.set(id, { tenant, view: next });
        append(tenant, id, 'workflow.started', {});
        return next;
      },
      get: async (id, call) => find(workflows, id, enter('workflows.get', call), 'workflow_not_found'),
      async plan(input, call) {
        enter('workflows.plan', call);
        const spec = createWorkflowSchema.parse(input);
        return {
          pattern: spec.pattern,
          steps: [],
          levels: [],
          order: [],
          redundantEdges: [],
          criticalPath: [],
          predicted: {
            sequentialMs: 0,
            parallelMs: 0,
            speedup: 1,
            scheduledMs: 0,
            concurrency: 1,
            basis: 'default',
            notes: [],
          },
          maxParallelism: 0,
        };
      },
      async statistics({ withinMs = 1_000 } = {}, call) {
        enter('workflows.statistics', call);
        return { withinMs, patterns: [] };
      },
      async stuck(_filter, call) {
        enter('workflows.stuck', call);
        return [];
      },
      async list(filter, call) {
        const tenant = enter('workflows.list', call);
        const own = [...workflows.values()]
          .filter((row) => row.tenant === tenant)
          .map(({ view: { tasks: _tasks, ...rest } }) => rest);
        return paged(own, filter);
      },
      async cancel(id, call) {
        const tenant = enter('workflows.cancel', call);
        find(workflows, id, tenant, 'workflow_not_found');
        fake.endWorkflow(id, 'cancelled');
        return find(workflows, id, tenant, 'workflow_not_found');
      },
      async wait(id, { timeoutMs, signal }, call) {
        const tenant = enter('workflows.wait', call);
        await until(id, () => find(workflows, id, tenant, 'workflow_not_found').endedAt !== null, timeoutMs, signal);
        return find(workflows, id, tenant, 'workflow_not_found');
      },
      async outcome(id, options, call) {
        const { status, stopReason, output, error } = await this.wait(id, options, call);
        return { status, stopReason, output: output ?? null, error: error ?? null };
      },
      async pause(id, call) {
        return setStatus(id, 'paused', enter('workflows.pause', call));
      },
      async resume(id, call) {
        return setStatus(id, 'running', enter('workflows.resume', call));
      },
      async signal(id, signal, call) {
        const tenant = enter('workflows.signal', call);
        workflowSignalSchema.parse(signal);
        runningWorkflow(id, tenant);
      },
      async append(id, items, call) {
        const tenant = enter('workflows.append', call);
        appendItemsSchema.parse(items);
        runningWorkflow(id, tenant);
      },
      async inputs({ workflowId }, call) {
        const tenant = enter('workflows.inputs', call);
        if (workflowId) find(workflows, workflowId, tenant, 'workflow_not_found');
        return workflowId ? [inputOf(workflowId, 'open')] : [];
      },
      async answer(id, step, answer, call) {
        const tenant = enter('workflows.answer', call);
        inputAnswerSchema.parse(answer);
        find(workflows, id, tenant, 'workflow_not_found');
        if (step !== 'ask') throw new RuntimeError('input_not_found', `No step ${step} asks.`);
        return inputOf(id, 'answered');
      },
      async fork(id, options, call) {
        const tenant = enter('workflows.fork', call);
        forkWorkflowSchema.parse(options ?? {});
        const view = find(workflows, id, tenant, 'workflow_not_found');
        const forked = { ...view, id: newId('workflow'), status: 'running' as const };
        workflows.set(forked.id, { tenant, view: forked });
        return forked;
      },
      async decisions(id, _page, call) {
        find(workflows, id, enter('workflows.decisions', call), 'workflow_not_found');
        return [{ seq: 1, at, kind: 'schedule', rule: 'ready', chosen: 'a' }];
      },
    },
    events: createEventsApi({
      feed,
      clock,
      store: {
        read: async (stream, tenant, afterSeq, limit) =>
          (stored.get(stream) ?? [])
            .filter((event) => event.tenant === tenant && (event.seq ?? 0) > afterSeq)
            .slice(0, limit),
      },
    }),
    messages: fakeMessages(ambient, enter, (idOrName, tenant) => find(agents, idOrName, tenant, 'actor_not_found')),
    history: {
      async events(_filter, call) {
        enter('history.events', call);
        return { items: [], nextCursor: null };
      },
      async timeline(_filter, call) {
        enter('history.timeline', call);
        return { from: at, to: at, bucketMs: 60_000, buckets: [] };
      },
      async moment(time, call) {
        enter('history.moment', call);
        const none = {
          tasks: { queued: 0, started: 0 },
          workflows: { created: 0, running: 0 },
          agents: { present: 0 },
        };
        return { at: time, ...none };
      },
      async journal(id, _page, call) {
        find(workflows, id, enter('history.journal', call), 'workflow_not_found');
        return { items: [{ seq: 1, at, event: { type: 'started', atMs: 1, seed: 1 } }], total: 1 };
      },
      async workflowAt(id, seq, _page, call) {
        const { progress, tasks } = find(workflows, id, enter('history.workflowAt', call), 'workflow_not_found');
        const event = { type: 'started', atMs: 1, seed: 1 };
        const rest = { paused: false, ended: false, nextStep: null, decisions: [] };
        return { seq, total: 1, at, event, progress, tasks, ...rest };
      },
      async attempts(id, _page, call) {
        find(workflows, id, enter('history.attempts', call), 'workflow_not_found');
        return { items: [], nextCursor: null };
      },
    },
    system: {
      node: 'nod_test' as TroupeRuntime['system']['node'],
      async nodes() {
        enter('system.nodes', undefined);
        const links = { peers: 0, messagesOut: 0, messagesIn: 0, framesOut: 0, framesIn: 0, duplicates: 0, resent: 0 };
        return { items: [], links: { ...links, garbage: 0, refused: 0, unknown: 0, waiting: 0 } };
      },
      async status(call) {
        enter('system.status', call);
        return {
          status: fake.status,
          version: '0.0.0',
          node: 'nod_test' as TroupeRuntime['system']['node'],
          uptimeMs: 1,
          nodes: [],
          threads: [],
          agents: { total: agents.size, byState: {}, byType: {} },
          tasks: {
            byState: Object.fromEntries(TASK_STATES.map((state) => [state, 0])) as Record<TaskState, number>,
            queues: [],
          },
          dependencies: { database: { status: 'up' } },
          tables: [{ table: 'task', rows: 1, bytes: 8_192 }],
        };
      },
      async metrics(call) {
        enter('system.metrics', call);
        return { agents: {}, orchestration: {}, workflows: {}, process: { uptimeMs: 1 } };
      },
      prometheus: async () =>
        '# HELP troupe_agents Agents by state.\n# TYPE troupe_agents gauge\ntroupe_agents{state="idle"} 1\n',
      tree: () => ({
        id: 'root',
        kind: 'root',
        state: 'running',
        children: [{ id: 'threads', kind: 'supervisor', state: 'running', children: [] }],
      }),
      ready: () => ({ ready: reasons.length === 0, reasons }),
      async initialize() {
        enter('system.initialize', undefined);
        fake.status = 'running';
      },
      async drain() {
        enter('system.drain', undefined);
        fake.status = 'draining';
      },
      async stop() {
        fake.status = 'stopped';
      },
      killThread() {},
      async metricHistory({ metric }) {
        return { metric, from: '', to: '', stepS: 60, series: [] };
      },
      logs(_filter, call) {
        enter('system.logs', call);
        return { node: 'nod_test', items: [], forgotten: 0 };
      },
      async deadLetters(filter, call) {
        enter('system.deadLetters', call);
        return paged([], filter);
      },
    },
    end(id, state, result) {
      const row = tasks.get(id);
      if (!row) throw new Error(`no task ${id}`);
      tasks.set(id, { ...row, view: { ...row.view, status: state, ...(result === undefined ? {} : { result }) } });
      append(row.tenant, id, `task.${state}` as EventType, {});
      wake(id);
    },
    endWorkflow(id, state) {
      const row = workflows.get(id);
      if (!row) throw new Error(`no workflow ${id}`);
      workflows.set(id, { ...row, view: { ...row.view, status: state, endedAt: at } });
      append(row.tenant, id, 'workflow.ended', { status: state });
      wake(id);
    },
    emit: (stream, type, data = {}) => append(tenantOf(stream), stream, type, data),
    notice: (stream, type, data = {}) => feed.notice({ stream, type, tenant: tenantOf(stream), data }),
    forget(stream, upToSeq) {
      stored.set(
        stream,
        (stored.get(stream) ?? []).filter((event) => (event.seq ?? 0) > upToSeq),
      );
    },
    setReady(next) {
      reasons = next;
    },
    failNext(error) {
      failure = { error };
    },
    [Symbol.asyncDispose]: async () => {},
  };
  return fake;
}

function manifestEntry(entry: Partial<ManifestEntry>): ManifestEntry {
  return {
    type: 'probe',
    kind: 'agent',
    capabilities: [{ name: 'probe.run', version: 1 }],
    messages: [],
    mailbox: { capacity: 1_000, overflow: 'reject' },
    supervision: {} as ManifestEntry['supervision'],
    isolation: 'shared',
    concurrency: 1,
    bids: false,
    module: { specifier: 'file:///secret/path/probe.js', exportName: 'probe' },
    defHash: 'abc',
    active: true,
    ...entry,
  };
}
