// One task: how it stands, every attempt, what went in and came out; cancel, redrive, answer.

import type { TaskView } from '../../../../runtime/contracts/task.ts';
import { type AgentNames, useAgentNames } from '../../data/agent-names.ts';
import { api } from '../../data/client.ts';
import { useResource } from '../../data/resource.ts';
import { mayAdminister, mayWork } from '../../data/session.ts';
import { href } from '../../router.ts';
import { StateBadge } from '../../ui/badge.tsx';
import { Action } from '../../ui/dialog.tsx';
import { clockMs } from '../../ui/figures.ts';
import { dateTime, duration, shortId } from '../../ui/format.ts';
import { Fields, Json, Panel, Stat } from '../../ui/panel.tsx';
import { type Question, QuestionForm } from '../../ui/question.tsx';
import { timeScale } from '../../ui/scale.ts';
import { ApiProblem, Empty, Loading, Stale } from '../../ui/states.tsx';

const OPEN: ReadonlySet<string> = new Set(['scheduled', 'queued', 'running', 'waiting']);

export function OneTask({ id }: { readonly id: string }) {
  const names = useAgentNames();
  const path = `/api/agents/tasks/${id}`;
  const resource = useResource<TaskView>(
    path,
    {},
    {
      everyMs: 2_000,
      on: ['task.started', 'task.retrying', 'task.completed', 'task.failed', 'task.dead', 'task.cancelled'],
    },
  );
  const { data: task, error } = resource.state.value;
  if (task === undefined) return error ? <ApiProblem error={error} /> : <Loading what="task" />;
  const { status, capability, workflowId, stepKey, timings, attempt, maxAttempts, waitingFor, question } = task;
  const post = (verb: string) => async (): Promise<void> => {
    await api.send('POST', `${path}/${verb}`, {});
    await resource.refresh();
  };
  return (
    <>
      <Stale error={error} />
      <div class="view-head">
        <h1>{capability}</h1>
        <StateBadge state={status} />
        <code class="muted" title={id}>
          {shortId(id)}
        </code>
        {workflowId === null ? null : (
          <a href={href(['workflows', workflowId], { step: stepKey ?? undefined })}>step {stepKey} of its run</a>
        )}
        <span class="grow" />
        {OPEN.has(status) && mayWork.value ? (
          <Action
            label="Cancel task"
            danger
            act={post('cancel')}
            confirm={
              <p>Its handler is asked to stop; one that does not heed that is cut off. This cannot be taken back.</p>
            }
          />
        ) : null}
        {status === 'dead' && mayAdminister.value ? (
          <Action
            label="Redrive"
            act={post('redrive')}
            confirm={<p>It goes back into its queue with its attempts counted anew; its history stays.</p>}
          />
        ) : null}
        {status === 'dead' && !mayAdminister.value ? (
          <span class="muted">To redrive it takes the role admin.</span>
        ) : null}
      </div>
      <div class="stats">
        <Stat label="Attempts" value={`${attempt} of ${maxAttempts}`} />
        <Stat
          label="Waited"
          value={duration(timings.queueWaitMs)}
          note={waitingFor?.replaceAll('_', ' ')}
          {...(waitingFor ? { tone: 'warn' as const } : {})}
        />
        <Stat label="Ran" value={duration(timings.runMs)} note="last attempt" />
        <Stat label="Submitted" value={clockMs(timings.submittedAt)} note={dateTime(timings.submittedAt)} />
      </div>
      {question ? (
        <Panel title="It asks a person" class="asks">
          <QuestionForm question={questionOf(task)} onAnswered={() => void resource.refresh()} />
        </Panel>
      ) : null}
      {task.error ? (
        <p class="task-error" role="status">
          <strong>{task.error.code}</strong> {task.error.message}
        </p>
      ) : null}
      <AttemptList task={task} names={names} />
      <div class="columns">
        <Panel title="Input">
          <Json value={task.input ?? null} />
        </Panel>
        <Panel title="Result">
          {task.result === undefined ? (
            <Empty title="There is none">A task has a result when it is completed.</Empty>
          ) : (
            <Json value={task.result} />
          )}
        </Panel>
        {task.progress === undefined ? null : (
          <Panel title="Progress">
            <Json value={task.progress} />
          </Panel>
        )}
        {task.usage ? (
          <Panel title="Used">
            <Fields of={Object.entries(task.usage)} />
          </Panel>
        ) : null}
      </div>
    </>
  );
}

const questionOf = ({ id, question }: TaskView): Question =>
  ({ ...question, kind: 'input', taskId: id, answerAt: `/api/agents/tasks/${id}/input` }) as Question;

function AttemptList({ task, names }: { readonly task: TaskView; readonly names: AgentNames }) {
  const { attempts = [], timings } = task;
  if (attempts.length === 0) return <Empty title="It has not been tried yet" />;
  const last = attempts.at(-1);
  const scale = timeScale(Date.parse(timings.submittedAt), last?.endedAt ? Date.parse(last.endedAt) : Date.now());
  return (
    <Panel title="Attempts" class="attempts-panel">
      <ol class="attempts">
        {attempts.map((one, at) => {
          const from = scale.at(Date.parse(one.startedAt));
          const to = one.endedAt === null ? 1 : scale.at(Date.parse(one.endedAt));
          return (
            <li key={`${one.startedAt} ${at}`} class="attempt">
              <span class="attempt-head">
                <strong>{one.attempt}</strong> <StateBadge state={one.outcome} />
              </span>
              <span class="attempt-track" aria-hidden="true">
                <i
                  class={`attempt-bar is-${one.outcome}`}
                  style={{ left: `${from * 100}%`, width: `${(to - from) * 100}%` }}
                />
              </span>
              <span class="num">
                {one.endedAt === null ? 'running' : duration(Date.parse(one.endedAt) - Date.parse(one.startedAt))}
              </span>
              <span class="attempt-where muted">
                {one.agentId === null ? '' : <a href={href(['agents', one.agentId])}>{names.of(one.agentId)}</a>}{' '}
                {one.thread === null ? '' : `thread ${one.thread}, `}
                {shortId(one.node)}, {clockMs(one.startedAt)}
              </span>
              {one.error ? (
                <span class="attempt-error">
                  {one.error.code}: {one.error.message}
                </span>
              ) : null}
            </li>
          );
        })}
      </ol>
    </Panel>
  );
}
