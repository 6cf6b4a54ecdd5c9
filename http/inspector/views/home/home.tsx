// The first view: is all well, what is going on, what waits for a person.

import type { SystemStatus } from '../../../../runtime/contracts/runtime.ts';
import { type FiguresAt, figureHistory, mostOfNodes, sumOverNodes } from '../../data/figures.ts';
import { liveUnreachable } from '../../data/live.ts';
import { useResource } from '../../data/resource.ts';
import { href } from '../../router.ts';
import { StateBadge } from '../../ui/badge.tsx';
import { clock, count, duration, plural, short, shortId } from '../../ui/format.ts';
import { Meter, Panel, Stat } from '../../ui/panel.tsx';
import { type Question, QuestionForm, questionKey } from '../../ui/question.tsx';
import { Series } from '../../ui/series.tsx';
import { ApiProblem, Empty, Loading, Stale } from '../../ui/states.tsx';
import { decisions, useDecisions } from './decisions.ts';
import { happenings, useHappenings } from './happenings.ts';
import './home.css';

interface Metrics {
  readonly agents: { readonly execution?: { readonly used?: Readonly<Record<string, number>> } };
}

export function Home() {
  const status = useResource<SystemStatus>(
    '/api/agents/status',
    {},
    { everyMs: 5_000, on: ['thread.down', 'node.lost'] },
  );
  const inputs = useResource<{ items: readonly Question[] }>(
    '/api/agents/inputs',
    { state: 'open' },
    { everyMs: 10_000, on: ['workflow.input', 'task.waiting', 'task.answered', 'workflow.ended'] },
  );
  const metrics = useResource<Metrics>('/api/agents/metrics', {}, { everyMs: 5_000 });
  useDecisions();
  useHappenings();
  const { data, error } = status.state.value;
  const questions = inputs.state.value.data?.items ?? [];
  if (!data)
    return error ? <ApiProblem error={error} retry={() => void status.refresh()} /> : <Loading what="overview" />;
  return (
    <>
      <h1 class="sr">Overview</h1>
      <Stale error={error} />
      <Figures status={data} waiting={questions.length} used={metrics.state.value.data?.agents.execution?.used} />
      <div class="columns">
        <div class="stack">
          <Panel title="Waiting for a person" flush>
            {questions.length === 0 ? (
              <Empty title="Nothing waits">
                Approvals and questions of agents appear here, to be answered in place.
              </Empty>
            ) : (
              questions.map((one) => (
                <QuestionForm key={questionKey(one)} question={one} onAnswered={() => void inputs.refresh()} />
              ))
            )}
          </Panel>
          <Panel title="Last five minutes">
            <History />
          </Panel>
          <Panel title="Last decisions" flush>
            <Decisions />
          </Panel>
        </div>
        <div class="stack">
          <Panel title="Agents by state" aside={<a href={href(['agents'])}>All agents</a>}>
            <ByState status={data} />
          </Panel>
          <Panel title="Nodes and dependencies" aside={<a href={href(['threads'])}>Threads and nodes</a>} flush>
            <Health status={data} />
          </Panel>
          <Panel title="Supervision" aside={<a href={href(['tree'])}>Tree</a>} flush>
            <Happenings />
          </Panel>
        </div>
      </div>
    </>
  );
}

interface FiguresProps {
  readonly status: SystemStatus;
  readonly waiting: number;
  readonly used: Readonly<Record<string, number>> | undefined;
}

function Figures({ status, waiting, used }: FiguresProps) {
  const last = figureHistory.value.at(-1);
  const { byState, total } = agentCounts(status, last);
  const tasks = status.tasks.byState;
  const wait = last ? (mostOfNodes([last], ({ tasks: figures }) => figures.queueWaitP95Ms)[0] ?? null) : null;
  const perSecond = (of: 'completedPerSecond' | 'failedPerSecond'): number | null =>
    last ? (sumOverNodes([last], ({ tasks: figures }) => figures[of])[0] ?? null) : null;
  const stuck = stuckThreads(status, last);
  const failing = perSecond('failedPerSecond') ?? 0;
  return (
    <div class="stats">
      <Stat
        label="Agents"
        value={count(total)}
        note={`${count(byState.running ?? 0)} running, ${count(byState.idle ?? 0)} idle`}
        href={href(['agents'])}
      />
      <Stat
        label="Stuck"
        value={plural(stuck.agents, 'agent')}
        note={stuck.threads === 0 ? 'every thread answers' : `in ${plural(stuck.threads, 'thread')} without a beat`}
        {...(stuck.threads > 0 ? { tone: 'bad' as const } : {})}
        href={href(['threads'])}
      />
      <Stat
        label="Queue wait p95"
        value={duration(wait)}
        note={wait === null ? 'nothing started in 30 s' : 'last 30 s'}
      />
      <Stat label="Queued" value={count(tasks.queued)} note={`${count(tasks.running)} running`} />
      <Stat
        label="Throughput"
        value={`${short(perSecond('completedPerSecond'))}/s`}
        note={failing > 0 ? `${short(failing)}/s fail` : 'no failures'}
        {...(failing > 0 ? { tone: 'warn' as const } : {})}
      />
      <Stat
        label="Waiting for a person"
        value={count(waiting)}
        note={waiting > 0 ? 'answer below' : 'nothing'}
        {...(waiting > 0 ? { tone: 'warn' as const } : {})}
      />
      <Stat label="Budget used" value={`${short(used?.tokens ?? 0)} tokens`} note={budgetNote(used)} />
    </div>
  );
}

function budgetNote(used: Readonly<Record<string, number>> | undefined): string {
  return `cost ${short(used?.cost ?? 0)}, ${short(used?.messages ?? 0)} messages`;
}

/** Stuck is a thread without a beat, and every agent in it. */
function stuckThreads(status: SystemStatus, last: FiguresAt | undefined): { threads: number; agents: number } {
  const stuck = last
    ? last.threads.filter(({ liveness }) => liveness === 'stuck').map(({ agents }) => agents)
    : status.threads.filter(({ liveness }) => liveness === 'stuck').map(({ cells }) => cells);
  return { threads: stuck.length, agents: stuck.reduce((sum, agents) => sum + agents, 0) };
}

/** Of the feed, which is a second old at most; of the status until the feed has told. */
function agentCounts(status: SystemStatus, last: FiguresAt | undefined): SystemStatus['agents'] {
  if (!last || last.nodes.length === 0) return status.agents;
  const all = last.nodes.map(({ counts }) => counts);
  return {
    total: all.reduce((sum, { total }) => sum + total, 0),
    byState: addUp(all.map(({ byState }) => byState)),
    byType: addUp(all.map(({ byType }) => byType)),
  };
}

function addUp(all: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const one of all) for (const [key, value] of Object.entries(one)) sums[key] = (sums[key] ?? 0) + value;
  return sums;
}

const STATES = ['running', 'idle', 'initializing', 'created', 'paused', 'error', 'terminated'];

function ByState({ status }: { readonly status: SystemStatus }) {
  const { byState, byType, total } = agentCounts(status, figureHistory.value.at(-1));
  if (total === 0)
    return (
      <Empty title="No agents yet">
        <code>npx troupe agents create probe</code> makes one, <code>npx troupe demo</code> a team at work.
      </Empty>
    );
  return (
    <>
      <table class="plain">
        <tbody>
          {STATES.filter((state) => (byState[state] ?? 0) > 0 || state === 'running' || state === 'error').map(
            (state) => (
              <tr key={state}>
                <th scope="row">
                  <a href={href(['agents'], { state })}>
                    <StateBadge state={state} />
                  </a>
                </th>
                <td class="num">{count(byState[state] ?? 0)}</td>
                <td class="bar">
                  <Meter part={(byState[state] ?? 0) / total} tone={state === 'error' ? 'bad' : 'busy'} label={state} />
                </td>
              </tr>
            ),
          )}
        </tbody>
      </table>
      <p class="types">
        {Object.entries(byType)
          .toSorted((a, b) => b[1] - a[1])
          .slice(0, 8)
          .map(([type, number]) => (
            <a key={type} href={href(['agents'], { type })}>
              {type} <b>{count(number)}</b>
            </a>
          ))}
      </p>
    </>
  );
}

function History() {
  const history = figureHistory.value;
  if (history.length < 2) return <p class="muted">Gathering figures: one comes each second.</p>;
  const times = history.map(({ at }) => at);
  return (
    <div class="home-series">
      <Series
        label="Tasks per second"
        times={times}
        format={short}
        height={110}
        lines={[
          { label: 'done', colour: '--accent', values: sumOverNodes(history, ({ tasks }) => tasks.completedPerSecond) },
          { label: 'failed', colour: '--bad', values: sumOverNodes(history, ({ tasks }) => tasks.failedPerSecond) },
        ]}
      />
      <Series
        label="Queue wait"
        times={times}
        format={duration}
        height={110}
        lines={[{ label: 'p95', colour: '--warn', values: mostOfNodes(history, ({ tasks }) => tasks.queueWaitP95Ms) }]}
      />
    </div>
  );
}

function Health({ status }: { readonly status: SystemStatus }) {
  return (
    <ul class="lines">
      {status.nodes.map((node) => (
        <li key={node.id}>
          <StateBadge state={node.alive ? (node.draining ? 'draining' : 'active') : 'suspect'} />
          <span>
            Node <code title={node.id}>{shortId(node.id)}</code> on {node.host}
          </span>
          <span class="muted">
            {node.id === status.node ? `up ${duration(status.uptimeMs)}` : ''}
            {liveUnreachable.value.includes(node.id) ? 'not reachable from here: no Redis between them' : ''}
          </span>
        </li>
      ))}
      {Object.entries(status.dependencies).map(([name, { status: state, detail }]) => (
        <li key={name}>
          <StateBadge state={state} />
          <span>{name}</span>
          <span class="muted">{detail ?? ADVICE[`${name} ${state}`]}</span>
        </li>
      ))}
    </ul>
  );
}

const ADVICE: Readonly<Record<string, string>> = {
  'ollama down': 'agents fall back to extraction; set OLLAMA_HOST',
  'redis down': 'messages between nodes wait; check REDIS_URL',
  'database down': 'nothing is accepted; check DATABASE_URL',
};

function Decisions() {
  if (decisions.value.length === 0)
    return (
      <Empty title="No decisions yet">
        Why an agent was chosen, who won, what a vote came to: from the first workflow on.
      </Empty>
    );
  return (
    <ul class="lines">
      {decisions.value.map((one) => (
        <li key={JSON.stringify(one)}>
          <time class="muted" dateTime={one.at}>
            {clock(one.at)}
          </time>
          <span>
            <b>{one.kind.replaceAll('_', ' ')}</b> {one.chosen}
          </span>
          <a class="cut" href={href(['workflows', one.workflowId], { tab: 'decisions' })} title={one.rule}>
            {one.rule}
          </a>
        </li>
      ))}
    </ul>
  );
}

function Happenings() {
  if (happenings.value.length === 0)
    return (
      <Empty title="Quiet since this page was opened">Restarts and lost threads or nodes appear here at once.</Empty>
    );
  return (
    <ul class="lines" aria-live="polite">
      {happenings.value.map((one) => (
        <li key={one.key}>
          <time class="muted" dateTime={one.at}>
            {clock(one.at)}
          </time>
          <StateBadge state={one.label} tone={one.tone} />
          <span class="cut">{one.text}</span>
        </li>
      ))}
    </ul>
  );
}
