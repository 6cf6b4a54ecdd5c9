// What the demo shows, as data: agents, steps and what happened, folded from the events of the node and from the workflow itself.
// Pure: it draws nothing and asks nothing.

import type { AgentView } from '../../runtime/contracts/agent.ts';
import type { RuntimeEvent } from '../../runtime/contracts/event.ts';
import type { WorkflowView } from '../../runtime/contracts/workflow.ts';

export interface AgentLine {
  readonly id: string;
  readonly name: string;
  state: string;
  thread: number | null;
  /** The dead one it was on. */
  lastThread?: number;
  /** It failed and is not back yet. */
  down: boolean;
}

export interface StepLine {
  readonly id: string;
  state: string;
  taskId: string | undefined;
  agentId: string | null;
  thread: number | null;
  attempt: number;
  /** 0 to 1 of this attempt. */
  fraction: number;
  note: string;
}

/** Something worth a line. */
export interface Happening {
  readonly atMs: number;
  readonly text: string;
}

export interface TaskFacts {
  attempt: number;
  agentId: string | null;
  thread: number | null;
  fraction: number;
  note: string;
  running: boolean;
  /** By attempt. */
  readonly threads: Map<number, number>;
}

export interface DemoView {
  readonly agents: Map<string, AgentLine>;
  readonly steps: Map<string, StepLine>;
  /** By task id: events may come before it is known which step a task belongs to. */
  readonly tasks: Map<string, TaskFacts>;
  readonly happenings: Happening[];
  /** Numbers of threads are not used again: whatever still names one of these is out of date. */
  readonly deadThreads: Set<number>;
  /** Restarts of threads whose end is not told yet. */
  readonly early: Map<number, string>;
  restarts: number;
  /** Messages the writer got from the others. */
  heard: number;
  events: number;
}

export function createView(agents: readonly AgentView[]): DemoView {
  const lines = agents.map(({ id, name, state, thread }): [string, AgentLine] => [
    id,
    { id, name, state, thread, down: false },
  ]);
  return {
    agents: new Map(lines),
    steps: new Map(),
    tasks: new Map(),
    happenings: [],
    deadThreads: new Set(),
    early: new Map(),
    restarts: 0,
    heard: 0,
    events: 0,
  };
}

export function say(view: DemoView, atMs: number, text: string): void {
  view.happenings.push({ atMs, text });
}

/** Folds one event in. Unknown events and unknown shapes change nothing. */
export function applyEvent(view: DemoView, event: RuntimeEvent, atMs: number): void {
  const { stream, data } = event;
  view.events++;
  switch (event.type) {
    case 'agent.transition':
      agentMoved(view, stream, data, atMs);
      break;
    case 'task.started':
      taskStarted(view, stream, data, atMs);
      break;
    case 'task.progress':
      taskProgressed(view, stream, data);
      break;
    case 'task.retrying':
    case 'task.completed':
    case 'task.failed':
    case 'task.dead':
      taskEnded(view, stream, event.type, data, atMs);
      break;
    case 'workflow.step':
      linkStep(view, data);
      break;
    case 'thread.up':
      say(view, atMs, `thread ${num(data.thread)} is up`);
      break;
    case 'thread.down':
      threadDied(view, num(data.thread));
      say(view, atMs, `thread ${num(data.thread)} is down (${text(data.reason)})`);
      sayEarly(view, num(data.thread), atMs);
      break;
    case 'supervision.restart':
      restarted(view, data, atMs);
      break;
    default:
  }
}

/** The workflow as it is stored is right where an event was missed. */
export function applyWorkflow(view: DemoView, workflow: Pick<WorkflowView, 'tasks'>): void {
  for (const step of workflow.tasks) {
    const line = stepLine(view, step.id);
    line.state = step.state;
    line.taskId = step.taskId ?? line.taskId;
    line.attempt = Math.max(line.attempt, step.attempts ?? 0);
    if (step.state === 'completed') line.fraction = 1;
    const facts = line.taskId === undefined ? undefined : view.tasks.get(line.taskId);
    if (facts) copyFacts(line, facts);
  }
}

export function applyAgents(view: DemoView, agents: readonly AgentView[], atMs: number): void {
  for (const { id, state, thread } of agents) {
    const line = view.agents.get(id);
    if (!line) continue;
    Object.assign(line, { state, thread: thread !== null && view.deadThreads.has(thread) ? null : thread });
    sayBack(view, line, atMs);
  }
}

/** What one agent told the writer. */
export interface Heard {
  readonly from: string;
  readonly about: string;
  readonly text: string;
}

/** All that the writer heard, oldest first; what was shown before is not shown again. */
export function applyHeard(view: DemoView, messages: readonly Heard[], atMs: number): void {
  const who = (name: string) =>
    [...view.agents.values()].find((agent) => name.endsWith(`-${agent.name}`))?.name ?? name;
  for (const { from, about, text: said } of messages.slice(view.heard))
    say(view, atMs, `${who(from)} told the writer of ${about}: ${said}`);
  view.heard = Math.max(view.heard, messages.length);
}

/** The supervisor acts at once, the pool tells of the death when it is sure: the cause is shown first. */
function restarted(view: DemoView, data: Record<string, unknown>, atMs: number): void {
  view.restarts++;
  const line = `the supervisor of ${text(data.supervisor)} restarts ${nameOf(view, text(data.child))}`;
  const thread = /^thread-(\d+)$/.exec(text(data.child))?.[1];
  if (thread === undefined || view.deadThreads.has(Number(thread))) say(view, atMs, line);
  else view.early.set(Number(thread), line);
}

function sayEarly(view: DemoView, thread: number, atMs: number): void {
  const line = view.early.get(thread);
  view.early.delete(thread);
  if (line !== undefined) say(view, atMs, line);
}

/** Said once it is known where. */
function sayBack(view: DemoView, line: AgentLine, atMs: number): void {
  if (!line.down || line.thread === null || (line.state !== 'idle' && line.state !== 'running')) return;
  line.down = false;
  say(view, atMs, `${line.name} is back on thread ${line.thread}`);
}

/** Told before or after what happened to the agents on it. */
function threadDied(view: DemoView, thread: number): void {
  view.deadThreads.add(thread);
  for (const agent of view.agents.values()) {
    if (agent.thread !== thread) continue;
    agent.lastThread = thread;
    agent.thread = null;
  }
}

function agentMoved(view: DemoView, id: string, data: Record<string, unknown>, atMs: number): void {
  const line = view.agents.get(id);
  if (!line) return;
  const to = text(data.to);
  line.thread = threadOf(view, data) ?? line.thread;
  if (to === 'error') {
    line.down = true;
    say(view, atMs, `${line.name} is down: ${whyDown(line, data)}`);
    line.thread = null;
  }
  line.state = to;
  sayBack(view, line, atMs);
}

function whyDown(line: AgentLine, data: Record<string, unknown>): string {
  const error = data.error as { code?: unknown; message?: unknown } | undefined;
  if (error?.code === 'thread_lost') {
    const thread = line.lastThread ?? num(data.thread);
    return thread > 0 ? `it was on thread ${thread}` : 'its thread is gone';
  }
  return text(error?.message) || text(data.cause);
}

function threadOf(view: DemoView, data: Record<string, unknown>): number | undefined {
  const { thread } = data;
  return typeof thread === 'number' && thread >= 0 && !view.deadThreads.has(thread) ? thread : undefined;
}

function taskStarted(view: DemoView, taskId: string, data: Record<string, unknown>, atMs: number): void {
  const facts: TaskFacts = {
    attempt: num(data.attempt),
    agentId: typeof data.agentId === 'string' ? data.agentId : null,
    thread: threadOf(view, data) ?? view.agents.get(text(data.agentId))?.thread ?? null,
    fraction: 0,
    note: '',
    running: true,
    threads: view.tasks.get(taskId)?.threads ?? new Map(),
  };
  view.tasks.set(taskId, facts);
  if (facts.thread !== null) facts.threads.set(facts.attempt, facts.thread);
  const agent = view.agents.get(text(data.agentId));
  if (agent?.down && facts.thread !== null) {
    Object.assign(agent, { state: 'running', thread: facts.thread });
    sayBack(view, agent, atMs);
  }
  const step = stepOf(view, taskId);
  if (!step) return;
  step.state = 'running';
  copyFacts(step, facts);
  const again = facts.attempt > 1 ? ` again (attempt ${facts.attempt})` : '';
  const where = facts.thread === null ? '' : `, thread ${facts.thread}`;
  say(view, atMs, `${step.id} runs${again} on ${nameOf(view, facts.agentId ?? '')}${where}`);
}

function taskProgressed(view: DemoView, taskId: string, data: Record<string, unknown>): void {
  const facts = view.tasks.get(taskId);
  const progress = data.progress as { fraction?: unknown; note?: unknown } | undefined;
  if (!facts || typeof progress?.fraction !== 'number') return;
  facts.fraction = Math.min(1, Math.max(0, progress.fraction));
  facts.note = typeof progress.note === 'string' ? progress.note : '';
  const step = stepOf(view, taskId);
  if (step) copyFacts(step, facts);
}

function taskEnded(view: DemoView, taskId: string, type: string, data: Record<string, unknown>, atMs: number): void {
  const facts = view.tasks.get(taskId);
  if (facts) facts.running = false;
  const step = stepOf(view, taskId);
  if (!step) return;
  if (type === 'task.completed') {
    Object.assign(step, { state: 'completed', fraction: 1, note: '' });
    say(view, atMs, `${step.id} is done`);
  } else if (type === 'task.retrying') {
    Object.assign(step, { state: 'queued', fraction: 0, note: '' });
    say(view, atMs, `${step.id} was interrupted and will run again`);
  } else {
    step.state = 'failed';
    const error = data.error as { message?: unknown } | undefined;
    say(view, atMs, `${step.id} failed: ${text(error?.message)}`);
  }
}

function linkStep(view: DemoView, data: Record<string, unknown>): void {
  const line = stepLine(view, text(data.step));
  if (typeof data.taskId === 'string') line.taskId = data.taskId;
  if (line.state === 'blocked') line.state = 'queued';
  const facts = line.taskId === undefined ? undefined : view.tasks.get(line.taskId);
  if (facts?.running) {
    line.state = 'running';
    copyFacts(line, facts);
  }
}

function stepLine(view: DemoView, id: string): StepLine {
  const known = view.steps.get(id);
  if (known) return known;
  const line: StepLine = {
    id,
    state: 'blocked',
    taskId: undefined,
    agentId: null,
    thread: null,
    attempt: 0,
    fraction: 0,
    note: '',
  };
  view.steps.set(id, line);
  return line;
}

function copyFacts(line: StepLine, facts: TaskFacts): void {
  line.attempt = Math.max(line.attempt, facts.attempt);
  line.agentId = facts.agentId;
  line.thread = facts.thread;
  if (line.state === 'running') Object.assign(line, { fraction: facts.fraction, note: facts.note });
}

const stepOf = (view: DemoView, taskId: string): StepLine | undefined =>
  [...view.steps.values()].find((step) => step.taskId === taskId);

export const nameOf = (view: DemoView, id: string): string => view.agents.get(id)?.name ?? id;

const num = (value: unknown): number => (typeof value === 'number' ? value : 0);
const text = (value: unknown): string => (typeof value === 'string' ? value : '');
