// The workflow of the demo: a survey and one search per part of the question, one analysis per data set, then the report.

import type { CreateAgent } from '../../runtime/contracts/agent.ts';
import type { CreateWorkflow } from '../../runtime/contracts/workflow.ts';
import type { DemoInputs } from './inputs.ts';

export const REPORT_STEP = 'report';

const RETRY = { maxAttempts: 5, backoffMs: 100, maxBackoffMs: 1_000, jitter: 'none' } as const;
const STEP_TIMEOUT_MS = 120_000;
const DEADLINE_MS = 600_000;
const MAX_PARTS = 3;

/** The agents of one run, by what they do: its steps go to these and to no others of their type. */
export interface Team {
  readonly researchers: readonly string[];
  readonly analysts: readonly string[];
  readonly writer?: string;
}

export const WRITER: CreateAgent = { type: 'generation', name: 'writer-1' };

/** Two researchers and two analysts, who tell the writer what they find; the pool spreads them over its threads. */
export function demoAgents(inputs: DemoInputs, writer: string): CreateAgent[] {
  const agent = (type: string, name: string, root: string): CreateAgent => ({
    type,
    name,
    config: { root, reportTo: writer },
  });
  return [
    agent('research', 'researcher-1', inputs.docs),
    agent('research', 'researcher-2', inputs.docs),
    agent('analysis', 'analyst-1', inputs.dataRoot),
    agent('analysis', 'analyst-2', inputs.dataRoot),
  ];
}

const NOBODY: Team = { researchers: [], analysts: [] };

/** Without a team any agent that can does a step. */
export function demoWorkflow(inputs: DemoInputs, team: Team = NOBODY): CreateWorkflow {
  const inTurn = (agents: readonly string[], at: number) =>
    agents.length === 0 ? {} : { agentId: agents[at % agents.length] as string };
  const source = {
    folder: '.',
    ...(inputs.named ? { named: [...inputs.named] } : {}),
    ...(inputs.maxDepth === undefined ? {} : { maxDepth: inputs.maxDepth }),
  };
  const common = { retry: RETRY, timeoutMs: STEP_TIMEOUT_MS };
  const searches = partsOf(inputs.question).map((question, at) => ({
    id: `search-${at + 1}`,
    capability: 'document.search',
    input: { question, ...source },
    ...inTurn(team.researchers, at),
    ...common,
  }));
  const analyses = inputs.data.map((file, at) => ({
    id: analysisStep(file, at, inputs.data),
    capability: 'dataset.analyse',
    input: { file },
    ...inTurn(team.analysts, at),
    ...common,
  }));
  const survey = {
    id: 'survey',
    capability: 'document.survey',
    input: source,
    ...inTurn(team.researchers, 1),
    ...common,
  };
  const before = [...searches, ...analyses, survey];
  const report = {
    id: REPORT_STEP,
    capability: 'report.write',
    input: {
      question: inputs.question,
      folder: inputs.docsShown,
      searches: searches.map(({ id }) => ({ $from: id })),
      datasets: analyses.map(({ id }) => ({ $from: id })),
      survey: { $from: survey.id },
      notes: inputs.notes,
    },
    dependsOn: before.map(({ id }) => id),
    ...(team.writer === undefined ? {} : { agentId: team.writer }),
    ...common,
  };
  return {
    name: 'demo: research, analysis, report',
    pattern: 'parallel',
    tasks: [survey, ...searches, ...analyses, report],
    options: { join: 'all' },
    deadlineMs: DEADLINE_MS,
  };
}

/** The question, and its parts when it asks for several things: each is searched for on its own. */
export function partsOf(question: string): string[] {
  const parts = question
    .split(/[?;]|,?\s+and\s+(?=(?:how|what|when|where|which|who|why|is|are|does|do|can)\b)/i)
    .map((part) => part.trim().replace(/[,.]$/, ''))
    .filter((part) => part.split(/\s+/).length >= 3);
  return parts.length < 2 ? [question] : [question, ...parts.slice(0, MAX_PARTS - 1).map((part) => `${part}?`)];
}

/** Called after its file; files of one name in several folders are told apart by their place in the list. */
function analysisStep(file: string, at: number, all: readonly string[]): string {
  const nameOf = (path: string) =>
    (path.split('/').at(-1) ?? path)
      .replace(/\.[^.]*$/, '')
      .replace(/[^A-Za-z0-9_-]+/g, '-')
      .replace(/^-+|-+$/g, '')
      .slice(0, 60);
  const name = nameOf(file) || 'data';
  const same = all.filter((other) => nameOf(other) === nameOf(file)).length > 1;
  return `analyse-${name}${same || nameOf(file) === '' ? `-${at + 1}` : ''}`;
}
