// What a command that starts a round becomes in the store: a task, a run inside the run, a question to a person.

import type { CoordinationCommand } from '../contracts/coordination.ts';
import { toWireError, type WireError, wireError } from '../contracts/errors.ts';
import type { WorkflowId } from '../contracts/ids.ts';
import type { NewAsk, NewChild, NewTask } from '../contracts/store.ts';
import { submitTaskSchema } from '../contracts/task.ts';
import type { Budget, CreateWorkflow } from '../contracts/workflow.ts';
import { type Definition, define, type Strategies } from './definition.ts';
import type { CapabilityPort } from './ports.ts';
import { childIdOf } from './run-ids.ts';
import type { InFlight } from './run-memory.ts';

type Command<Type extends CoordinationCommand['type']> = Extract<CoordinationCommand, { type: Type }>;

export type StartedRow =
  | { readonly type: 'task'; readonly task: NewTask }
  | { readonly type: 'run'; readonly child: NewChild }
  | { readonly type: 'input'; readonly ask: NewAsk };

export type StepRow =
  | StartedRow
  | { readonly type: 'failure'; readonly error: WireError }
  /** A fork has its outcome already. */
  | { readonly type: 'recorded'; readonly output: unknown };

/** Runs inside runs, whatever the budget says. */
const MAX_DEPTH = 10;
const DEFAULT_EXPIRY_MS = 7 * 86_400_000;

interface Run {
  readonly id: WorkflowId;
  readonly tenant: string;
}

export async function taskRow(
  { step, round, task }: Command<'schedule'>,
  one: InFlight,
  run: Run & { readonly capabilities: CapabilityPort },
): Promise<StepRow> {
  const parsed = submitTaskSchema.safeParse(task);
  if (!parsed.success)
    return {
      type: 'failure',
      error: wireError('invalid_input', `step "${step}" makes no task: ${parsed.error.message}`),
    };
  const { capability, agentId, input, priority, timeoutMs, retry, queueTimeoutMs, deadlineMs, delayMs, runAt } =
    parsed.data;
  try {
    const pinned = await run.capabilities.resolve({ capability, agentId }, run.tenant);
    return {
      type: 'task',
      task: {
        id: one.taskId,
        tenant: run.tenant,
        ...pinned,
        input: input === undefined ? {} : input,
        priority,
        timeoutMs,
        retry,
        ...(queueTimeoutMs === undefined ? {} : { queueTimeoutMs }),
        ...(deadlineMs === undefined ? {} : { deadlineMs }),
        ...(delayMs === undefined ? {} : { delayMs }),
        ...(runAt === undefined ? {} : { runAt }),
        workflow: { id: run.id, step, round },
      },
    };
  } catch (thrown) {
    return { type: 'failure', error: toWireError(thrown) };
  }
}

/** The run inside gets what was reserved for it as its own budget, and one level of depth less. */
export function childRow(
  command: Command<'spawn'>,
  one: InFlight,
  parent: Run & { readonly definition: Definition; readonly strategies: Strategies; readonly depth: number },
): StepRow {
  const { step, round } = command;
  const { budget } = parent.definition.spec;
  if (budget?.depth === 0 || parent.depth + 1 > MAX_DEPTH) {
    const message = `step "${step}" would be a run ${parent.depth + 1} levels deep; the limit is ${budget?.depth === 0 ? parent.depth : MAX_DEPTH}`;
    return { type: 'failure', error: wireError('budget_exceeded', message, { measure: 'depth' }) };
  }
  try {
    const own = (command.workflow as CreateWorkflow).budget as Budget | undefined;
    const inherited: Budget | undefined = budget && {
      onBreach: budget.onBreach,
      ...(budget.perStep ? { perStep: budget.perStep } : {}),
      ...(budget.depth === undefined ? {} : { depth: budget.depth - 1 }),
      ...own,
      ...command.reserve,
    };
    const limits = inherited ?? own;
    const { spec, defHash, strategy, options } = define(parent.strategies, {
      ...command.workflow,
      ...(limits ? { budget: limits } : {}),
    });
    const id = childIdOf(parent.id, step, round, one.scheduledAtMs);
    return {
      type: 'run',
      child: { id, step, round, spec, defHash, total: strategy.steps(spec, options, null).length },
    };
  } catch (thrown) {
    return { type: 'failure', error: toWireError(thrown) };
  }
}

export function askRow({ step, round, request }: Command<'await'>): StepRow {
  const { expiresMs = DEFAULT_EXPIRY_MS } = request;
  return { type: 'input', ask: { step, round, request, expiresMs } };
}
