// Runs the demo on a running node: spawns the agents, runs the workflow, kills a thread in the middle, shows all of it live.
// It uses the runtime as any user would; it starts and stops nothing but its own agents and workflow.

import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import type { AgentView, CreateAgent } from '../../runtime/contracts/agent.ts';
import type { TroupeRuntime } from '../../runtime/contracts/runtime.ts';
import type { TaskView } from '../../runtime/contracts/task.ts';
import type { WorkflowView } from '../../runtime/contracts/workflow.ts';
import type { DemoOptions } from './args.ts';
import { DemoError, type DemoInputs, resolveInputs } from './inputs.ts';
import { demoAgents, demoWorkflow, REPORT_STEP, type Team, WRITER } from './plan.ts';
import { chooseVictim, type Victim, wasInterrupted } from './saboteur.ts';
import { createScreen, type Screen } from './screen.ts';
import { type StepSummary, summariseSteps, summaryTable, type Totals } from './summary.ts';
import {
  applyAgents,
  applyEvent,
  applyHeard,
  applyWorkflow,
  createView,
  type DemoView,
  type Heard,
  nameOf,
  say,
} from './view.ts';

export interface DemoSurroundings {
  readonly out: Writable & { readonly columns?: number; readonly rows?: number };
  readonly isTty: boolean;
  /** Where the API is, for the last line. */
  readonly apiUrl: string;
  /** Default: the working directory. */
  readonly cwd?: string;
  /** Leaves its agents on the node, for who wants to look at them. Default: removed at the end. */
  readonly keepAgents?: boolean;
  /** Ends the demo early; it rejects with the abort reason. */
  readonly signal?: AbortSignal;
}

export interface DemoResult extends Totals {
  readonly reportFile: string;
  readonly markdown: string;
  /** Who wrote the prose. */
  readonly mode: 'model' | 'extraction';
  readonly steps: readonly StepSummary[];
  /** Steps that lost an attempt to the killed thread and were completed by a later one. */
  readonly interrupted: readonly string[];
  readonly killedThreads: readonly number[];
  /** Ids; they are gone unless `keepAgents`. */
  readonly agents: readonly string[];
}

const REDRAW_MS = 100;
const RECONCILE_MS = 500;
const WAIT_MS = 600_000;
const MAX_KILLS = 3;

/**
 * Resolves when the report is written and the table is shown.
 * @throws DemoError with one line for the person who started it: bad folder, bad file, a step that failed.
 */
export async function runDemo(runtime: TroupeRuntime, options: DemoOptions & DemoSurroundings): Promise<DemoResult> {
  const inputs = await resolveInputs(options, options.cwd ?? process.cwd());
  const startedMs = performance.now();
  const elapsed = () => performance.now() - startedMs;
  // Names of its own: an agent somebody else made is neither used nor replaced.
  const prefix = `demo-${randomUUID().slice(0, 6)}-`;
  const crew: string[] = [];
  try {
    const team = await spawnTeam(runtime, inputs, prefix, (id) => crew.push(id));
    const agents = (await untilStarted(runtime, crew)).map((agent) => ({
      ...agent,
      name: agent.name.slice(prefix.length),
    }));
    const result = await work(runtime, { inputs, options, agents, team, prefix, elapsed });
    if (!options.keepAgents) await dismiss(runtime, crew);
    return result;
  } catch (error) {
    await dismiss(runtime, crew);
    throw error;
  }
}

/** Removes the agents of a run. Those that are gone already are no failure. */
export async function dismiss(runtime: TroupeRuntime, agents: readonly string[]): Promise<void> {
  await Promise.allSettled(agents.map((id) => runtime.agents.remove(id, { mode: 'force' })));
}

interface Job {
  readonly inputs: DemoInputs;
  readonly options: DemoOptions & DemoSurroundings;
  readonly agents: readonly AgentView[];
  readonly team: Team;
  readonly prefix: string;
  readonly elapsed: () => number;
}

async function work(runtime: TroupeRuntime, job: Job): Promise<DemoResult> {
  const { inputs, options, agents, team, prefix, elapsed } = job;
  const view = createView(agents);
  const { out, isTty } = options;
  const screen = createScreen({ out, isTty, head: headOf(inputs, runtime, prefix) });
  const kills: Victim[] = [];
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([stop.signal, options.signal]) : stop.signal;
  const watching = watch(runtime, { view, screen, elapsed, signal, kills: options.kill === false ? undefined : kills });
  let ended: WorkflowView;
  try {
    ended = await runWorkflow(runtime, { inputs, team, stage: { view, screen, elapsed, signal } });
  } finally {
    stop.abort();
    await watching;
    screen.finish(view);
  }
  return report(runtime, { ended, inputs, options, view, screen, kills, wallMs: elapsed() });
}

/** The writer first: the others are told to whom they report. */
async function spawnTeam(
  runtime: TroupeRuntime,
  inputs: DemoInputs,
  prefix: string,
  spawned: (id: string) => void,
): Promise<Team> {
  const create = async (agent: CreateAgent) => {
    const { id } = await runtime.agents.create({ ...agent, name: `${prefix}${agent.name}` });
    spawned(id);
    return { id, type: agent.type };
  };
  const writer = (await create(WRITER)).id;
  const others = await Promise.all(demoAgents(inputs, writer).map(create));
  const idsOf = (type: string) => others.filter((agent) => agent.type === type).map(({ id }) => id);
  return { researchers: idsOf('research'), analysts: idsOf('analysis'), writer };
}

const START_POLL_MS = 20;
const START_TRIES = 500;

/** Creating is durable at once, starting takes a moment: the view should begin with agents that live somewhere. */
async function untilStarted(runtime: TroupeRuntime, agents: readonly string[]): Promise<AgentView[]> {
  for (let attempt = 0; ; attempt++) {
    const now = await Promise.all(agents.map((id) => runtime.agents.get(id)));
    const failed = now.find((agent) => agent.state === 'terminated');
    if (failed) throw new DemoError(`the agent ${failed.name} did not start: ${failed.reason ?? 'no reason given'}`);
    if (attempt >= START_TRIES || now.every((agent) => agent.state === 'idle' && agent.thread !== null)) return now;
    await setTimeout(START_POLL_MS);
  }
}

function headOf(inputs: DemoInputs, runtime: TroupeRuntime, prefix: string): string[] {
  return [
    `Question   ${inputs.question}`,
    `Documents  ${inputs.named ? 'README files in ' : ''}${inputs.docsShown}`,
    `Data       ${inputs.data.join(', ') || 'none'}`,
    `Node       ${runtime.system.node}`,
    `Agents     ${prefix}*`,
  ];
}

interface Stage {
  readonly view: DemoView;
  readonly screen: Screen;
  readonly elapsed: () => number;
  readonly signal: AbortSignal;
}

async function runWorkflow(
  runtime: TroupeRuntime,
  { inputs, team, stage }: { readonly inputs: DemoInputs; readonly team: Team; readonly stage: Stage },
): Promise<WorkflowView> {
  const { view, signal } = stage;
  const created = await runtime.workflows.create(demoWorkflow(inputs, team));
  applyWorkflow(view, created);
  const redraw = setInterval(() => stage.screen.update(view), REDRAW_MS);
  const reconcile = setInterval(() => void refresh(runtime, created.id, { ...stage, team }), RECONCILE_MS);
  try {
    await runtime.workflows.start(created.id);
    const ended = await runtime.workflows.wait(created.id, { timeoutMs: WAIT_MS, signal });
    applyWorkflow(view, ended);
    applyHeard(view, await heard(runtime, team).catch(() => []), stage.elapsed());
    applyAgents(view, await ownAgents(runtime, view), stage.elapsed());
    return ended;
  } catch (error) {
    // Its agents go: nobody else would ever end it.
    await runtime.workflows.cancel(created.id).catch(() => {});
    throw error;
  } finally {
    clearInterval(redraw);
    clearInterval(reconcile);
  }
}

/** A failed look is made up for by the next one. */
async function refresh(
  runtime: TroupeRuntime,
  workflowId: string,
  { view, team, elapsed }: Stage & { readonly team: Team },
): Promise<void> {
  try {
    applyWorkflow(view, await runtime.workflows.get(workflowId));
    applyAgents(view, await ownAgents(runtime, view), elapsed());
    applyHeard(view, await heard(runtime, team), elapsed());
  } catch {
    // the events go on telling
  }
}

async function ownAgents(runtime: TroupeRuntime, view: DemoView): Promise<readonly AgentView[]> {
  return Promise.all([...view.agents.keys()].map((id) => runtime.agents.get(id)));
}

/** Folds the events in until `signal` aborts; kills a thread on the way unless `kills` is undefined. */
async function watch(runtime: TroupeRuntime, stage: Stage & { readonly kills: Victim[] | undefined }): Promise<void> {
  const { view, elapsed, signal, kills } = stage;
  while (!signal.aborted) {
    // The feed ends for a reader that fell behind: then it is read anew, and the workflow itself fills the gap.
    for await (const event of runtime.events.firehose({ signal })) {
      applyEvent(view, event, elapsed());
      const last = kills?.at(-1);
      const again =
        last === undefined || (view.tasks.get(last.taskId)?.running === false && !wasInterrupted(view, last));
      const victim = kills && again && kills.length < MAX_KILLS ? chooseVictim(view, event) : undefined;
      if (kills && victim) {
        kills.push(victim);
        kill(runtime, view, victim, elapsed());
      }
    }
  }
}

function kill(runtime: TroupeRuntime, view: DemoView, victim: Victim, atMs: number): void {
  const { thread, step, fraction } = victim;
  say(view, atMs, `the demo kills thread ${thread} now, with ${step} at ${Math.round(fraction * 100)} %`);
  try {
    runtime.system.killThread(thread);
  } catch (error) {
    say(view, atMs, `thread ${thread} could not be killed: ${error instanceof Error ? error.message : String(error)}`);
  }
}

interface Ended {
  readonly ended: WorkflowView;
  readonly inputs: DemoInputs;
  readonly options: DemoOptions & DemoSurroundings;
  readonly view: DemoView;
  readonly screen: Screen;
  readonly kills: readonly Victim[];
  readonly wallMs: number;
}

async function report(runtime: TroupeRuntime, end: Ended): Promise<DemoResult> {
  const { ended, inputs, options, view, screen, kills, wallMs } = end;
  const tasks = await tasksOf(runtime, ended);
  if (ended.status !== 'completed') throw new DemoError(failureText(ended));
  const steps = summariseSteps(
    ended,
    tasks,
    (id) => nameOf(view, id),
    (id, attempt) => view.tasks.get(id)?.threads.get(attempt),
  );
  const { markdown, mode, reason } = reportOf(ended, tasks);
  await writeFile(inputs.out, markdown).catch((error: NodeJS.ErrnoException) => {
    throw new DemoError(`the report cannot be written to ${inputs.out}: ${error.code ?? error.message}`);
  });
  const totals: Totals = {
    tasks: tasks.size,
    attempts: steps.reduce((sum, step) => sum + step.attempts, 0),
    restarts: view.restarts,
    messages: view.heard,
    events: view.events,
    wallMs,
  };
  const interrupted = [...tasks.values()].flatMap((task) =>
    lostAndDone(task) && task.stepKey !== null ? [task.stepKey] : [],
  );
  screen.print(`\n${markdown}`);
  screen.print(`${summaryTable(steps, totals)}\n`);
  screen.print(killText(options, kills, interrupted));
  screen.print(mode === 'model' ? `The answer was written by ${reason}.` : `No model took part: ${reason}.`);
  screen.print(`Report  ${inputs.out}`);
  screen.print(`API     ${options.apiUrl}`);
  return {
    ...totals,
    reportFile: inputs.out,
    markdown,
    mode,
    steps,
    interrupted,
    killedThreads: kills.map((kill) => kill.thread),
    agents: [...view.agents.keys()],
  };
}

async function tasksOf(runtime: TroupeRuntime, ended: WorkflowView): Promise<Map<string, TaskView>> {
  const ids = ended.tasks.flatMap((step) => (step.taskId === undefined ? [] : [step.taskId]));
  return new Map(
    await Promise.all(ids.map(async (id): Promise<[string, TaskView]> => [id, await runtime.tasks.get(id)])),
  );
}

function reportOf(
  ended: WorkflowView,
  tasks: ReadonlyMap<string, TaskView>,
): { markdown: string; mode: 'model' | 'extraction'; reason: string } {
  const step = ended.tasks.find((one) => one.id === REPORT_STEP);
  const result = tasks.get(step?.taskId ?? '')?.result as Partial<Record<string, unknown>> | undefined;
  if (typeof result?.markdown !== 'string') throw new DemoError('the workflow is complete but its report is empty');
  return {
    markdown: result.markdown,
    mode: result.mode === 'model' ? 'model' : 'extraction',
    reason: String(result.reason ?? ''),
  };
}

function failureText(ended: WorkflowView): string {
  const failed = ended.tasks.find((step) => step.state === 'failed');
  if (failed) return `${failed.id} failed: ${failed.error?.message ?? failed.reason ?? 'no reason given'}`;
  return `the workflow ended as ${ended.status}${ended.stopReason ? ` (${ended.stopReason})` : ''}${ended.error ? `: ${ended.error.message}` : ''}`;
}

const lostAndDone = (task: TaskView): boolean =>
  task.status === 'completed' && (task.attempts ?? []).some((attempt) => attempt.outcome === 'lost');

function killText(options: DemoOptions, kills: readonly Victim[], interrupted: readonly string[]): string {
  if (options.kill === false) return 'No thread was killed (--no-kill).';
  const [first] = kills;
  if (!first) return 'No thread was killed: every step was over before it could be interrupted.';
  const threads = kills.map((kill) => kill.thread).join(', ');
  if (interrupted.length === 0) return `Thread ${threads} was killed, but the step it ran had just ended.`;
  return `Thread ${threads} was killed in the middle of ${interrupted.join(', ')}: run again and completed.`;
}

const HEARD_TIMEOUT_MS = 1_000;

/** What the writer was told so far, asked from the writer itself. */
async function heard(runtime: TroupeRuntime, { writer }: Team): Promise<readonly Heard[]> {
  if (writer === undefined) return [];
  const told = await runtime.agents.ask(writer, 'findings.heard', null, { timeoutMs: HEARD_TIMEOUT_MS });
  return told as readonly Heard[];
}
