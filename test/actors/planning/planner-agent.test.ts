// The planner: by rules, with a model, with one that misbehaves; and a whole hierarchy of the shipped agents over real documents.

import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { analysisAgent } from '../../../actors/analysis/analysis-agent.ts';
import { generationAgent } from '../../../actors/generation/generation-agent.ts';
import { plannerAgent } from '../../../actors/planning/planner-agent.ts';
import { topicsOf } from '../../../actors/planning/topics.ts';
import { researchAgent } from '../../../actors/research/research-agent.ts';
import { hierarchical } from '../../../patterns/hierarchical.ts';
import type { CoordinationEvent } from '../../../runtime/contracts/coordination.ts';
import type { WireError } from '../../../runtime/contracts/errors.ts';
import type { CreateWorkflow } from '../../../runtime/contracts/workflow.ts';
import { prepare } from '../../kit/coordination-simulator.ts';
import { FakeCell, taskOf } from '../../kit/fake-cell.ts';
import { type FakeAnswer, fakeOllama } from '../../kit/fake-ollama.ts';

const corpus = fileURLToPath(new URL('../research/corpus', import.meta.url));
const data = fileURLToPath(new URL('../../../data', import.meta.url));
const AGENTS = [
  [plannerAgent, { models: 'off' }],
  [researchAgent, { root: corpus, models: 'off' }],
  [analysisAgent, { root: data }],
  [generationAgent, { models: 'off' }],
] as const;

async function attempt(agent: (typeof AGENTS)[number][0], config: object, capability: string, input: unknown) {
  const behavior = agent.create(new FakeCell({ config: { ...config } }));
  await behavior.start();
  return behavior.runTask?.(taskOf(capability, input), new AbortController().signal);
}

async function plan(input: object, config: object = { models: 'off' }) {
  const outcome = await attempt(plannerAgent, config, 'plan.make', { goal: 'know the rivers', ...input });
  if (outcome?.type !== 'completed') throw new Error(JSON.stringify(outcome));
  return outcome.result as {
    tasks?: { id: string; capability: string; input: Record<string, unknown> }[];
    done?: true;
    output?: Record<string, unknown>;
    planner: { mode: string; reason: string };
  };
}
const ids = ({ tasks = [] }: { tasks?: { id: string }[] }) => tasks.map(({ id }) => id).join(' ');
const found = (id: string, count: number) => ({
  id,
  round: 0,
  status: 'completed',
  result: { question: id, passages: Array.from({ length: count }, () => ({ quote: 'a quote' })) },
});
const failed = (id: string) => ({ id, round: 0, status: 'failed', error: { code: 'x', message: 'it broke' } });
const documents = [{ name: 'a.md', text: '# Rivers\n\nThe Rhine is 1,233 km long and rises in the Alps.\n' }];

describe('a goal', () => {
  test.each([
    ['one thing', 'the rivers of Europe', ['the rivers of Europe']],
    ['two questions', 'How long is the Rhine? Where does it rise?', ['How long is the Rhine', 'Where does it rise']],
    [
      'two in one sentence',
      'How are connections pooled, and when are they closed?',
      ['How are connections pooled', 'when are they closed'],
    ],
    [
      'a list',
      'Find out:\n- the longest river\n- the deepest lake\n',
      ['Find out:', 'the longest river', 'the deepest lake'],
    ],
  ])('is %s', (_, goal, topics) => {
    expect(topicsOf(goal)).toEqual(topics);
  });

  test('has six topics at most', () => {
    expect(topicsOf(Array.from({ length: 20 }, (_, at) => `topic number ${at}`).join('; '))).toHaveLength(6);
  });
});

describe('planned by rules', () => {
  const input = { folder: '.', data: ['co2-concentration.csv', 'b/co2-concentration.csv'], claims: ['it rains'] };

  test('the first plan searches topics, checks claims, surveys, analyses', async () => {
    const first = await plan({ goal: 'How long is it? Where does it rise?', input });
    expect(ids(first)).toBe('survey search-1 search-2 verify analyse-1-co2-concentration analyse-2-co2-concentration');
    expect(first.tasks?.[1]?.input).toEqual({ question: 'How long is it', folder: '.' });
    expect(first.planner).toEqual({ mode: 'rules', reason: 'the agent is configured to do without a model' });
  });

  test.each<[string, object, string]>([
    [
      'topics of the input go before those of the goal',
      { input: { folder: '.', topics: ['lakes', 'seas'] } },
      'survey search-1 search-2',
    ],
    ['data alone is analysed', { input: { data: ['a.csv'] } }, 'analyse-1-a'],
    [
      'what failed is tried once more',
      { round: 1, input, results: [found('search-1', 2), failed('analyse-1-co2-concentration')] },
      'analyse-1-co2-concentration-again',
    ],
    [
      'what can never work is not',
      {
        round: 1,
        input,
        results: [
          found('search-1', 2),
          { ...failed('search-2'), error: { code: 'x', message: 'no', retryable: false } },
        ],
      },
      'report',
    ],
    [
      'where no topic gave anything the whole goal may',
      {
        round: 1,
        goal: 'is it long? is it deep?',
        input: { documents },
        results: [found('search-1', 0), found('search-2', 0)],
      },
      'search-3',
    ],
    ['then it is written up', { round: 1, input, results: [found('search-1', 2), failed('survey')] }, 'report'],
    [
      'and after the second look, too',
      { round: 2, input, results: [found('search-1', 1), failed('search-2'), failed('search-2-again')] },
      'report',
    ],
  ])('%s', async (_, given, expected) => {
    expect(ids(await plan(given))).toBe(expected);
  });

  test('the report refers to what completed and to nothing else', async () => {
    const results = [
      found('search-1', 2),
      failed('search-2'),
      { ...found('survey', 0) },
      { ...found('verify', 0) },
      { id: 'analyse-1-a', status: 'completed' },
    ];
    const { tasks } = await plan({ round: 2, input: { folder: 'docs', data: ['a.csv'] }, results });
    expect(tasks?.[0]).toEqual({
      id: 'report',
      capability: 'report.write',
      input: {
        question: 'know the rivers',
        folder: 'docs',
        searches: [{ $from: 'search-1' }],
        datasets: [{ $from: 'analyse-1-a' }],
        survey: { $from: 'survey' },
        findings: { $from: 'verify.findings' },
      },
    });
  });

  test('it is done when the report is written, and says what failed', async () => {
    const results = [
      found('search-1', 2),
      failed('search-2'),
      { id: 'report', status: 'completed', result: { markdown: '# R' } },
    ];
    expect(await plan({ round: 3, input, results })).toMatchObject({
      done: true,
      output: {
        report: { markdown: '# R' },
        searches: [
          { id: 'search-1', passages: 2 },
          { id: 'search-2', passages: 0 },
        ],
        failed: [{ id: 'search-2', reason: 'it broke' }],
      },
    });
  });

  test('on its last turn it gives what there is', async () => {
    const last = { round: 5, input, results: [found('search-1', 2)], final: true, reason: '5 rounds are used up' };
    expect(await plan(last)).toMatchObject({
      done: true,
      output: { report: null, completed: ['search-1'], limit: '5 rounds are used up' },
    });
  });

  test.each<[string, object, string]>([
    ['nothing to work on', {}, 'nothing_to_work_on'],
    [
      'nothing that worked',
      { round: 2, input, results: [failed('search-1'), failed('search-1-again')] },
      'nothing_found',
    ],
  ])('it fails for good with %s', async (_, given, code) => {
    const outcome = await attempt(plannerAgent, { models: 'off' }, 'plan.make', { goal: 'x', ...given });
    expect(outcome).toMatchObject({ type: 'failed', error: { code, retryable: false } });
  });
});

describe('planned with a model', () => {
  const input = { documents, data: ['a.csv', 'b.csv'] };
  const answer = (more: object) => JSON.stringify({ searches: [], claims: [], data: [], why: 'because', ...more });
  async function withModel(given: object, say: (call: number) => FakeAnswer) {
    await using ollama = await fakeOllama({ answer: (_chat, call) => say(call) });
    const planned = await plan({ input, ...given }, { ollamaHost: ollama.host, model: 'llama3.2' });
    return { planned, chats: ollama.chats };
  }

  test('its questions, claims and data become subtasks; data that is not there does not', async () => {
    const wish = {
      searches: ['How long is the Rhine?', 'How long is the Rhine?'],
      claims: ['It rises in the Alps'],
      data: ['b.csv', '/etc/passwd'],
    };
    const { planned, chats } = await withModel({}, () => answer(wish));
    expect(ids(planned)).toBe('survey search-1 verify analyse-2-b');
    expect(planned.tasks?.[1]).toMatchObject({
      capability: 'document.search',
      input: { question: 'How long is the Rhine?', documents },
    });
    expect(planned.planner).toMatchObject({
      mode: 'model',
      reason: expect.stringContaining('llama3.2 through Ollama'),
    });
    expect(chats[0]?.messages.at(-1)?.content).toContain('Data files: a.csv, b.csv');
    expect(chats[0]?.format).toMatchObject({ type: 'object' });
  });

  test('it sees the results, and what it asks for again gets a new id or none', async () => {
    const results = [found('search-1', 2), { id: 'survey', status: 'completed' }, failed('analyse-1-a')];
    const wish = { searches: ['search-1', 'another thing'], data: ['a.csv'] };
    const { planned, chats } = await withModel({ round: 1, results }, () => answer(wish));
    expect(ids(planned)).toBe('search-2');
    expect(chats[0]?.messages.at(-1)?.content).toMatch(
      /search-1: 2 passages for "search-1"; the best: a quote[\s\S]*analyse-1-a: failed \(it broke\)/,
    );
  });

  test('when it asks for nothing more the report is written', async () => {
    const { planned } = await withModel({ round: 1, results: [found('search-1', 2)] }, () => answer({}));
    expect(planned).toMatchObject({ tasks: [{ id: 'report' }], planner: { mode: 'model' } });
  });

  test.each<[string, (call: number) => FakeAnswer, number]>([
    ['asks for nothing at the start', () => answer({}), 1],
    ['gives no plan twice', () => 'I think we should search.', 2],
    ['breaks off', () => ({ cut: '{"searches"' }), 1],
    ['fails', () => ({ status: 500, error: 'out of memory' }), 1],
  ])('the rules plan when it %s', async (_, say, calls) => {
    const { planned, chats } = await withModel({}, say);
    expect(planned.planner.mode).toBe('rules');
    expect(ids(planned)).toBe('survey search-1 analyse-1-a analyse-2-b');
    expect(chats).toHaveLength(calls);
  });

  test('an answer that does not fit is mended once', async () => {
    const { planned } = await withModel({}, (call) =>
      call === 1 ? '{"searches":"x"}' : answer({ searches: ['rivers'] }),
    );
    expect(ids(planned)).toBe('survey search-1');
  });

  test('nobody is asked when nothing is left to choose', async () => {
    const results = [found('search-1', 2), { id: 'report', status: 'completed', result: {} }];
    const { planned, chats } = await withModel({ round: 2, results }, () => answer({ searches: ['more'] }));
    expect(planned.done).toBe(true);
    expect(chats).toHaveLength(0);
  });

  test('without a server the rules plan and say why', async () => {
    const planned = await plan({ input }, { ollamaHost: 'http://127.0.0.1:9' });
    expect(planned.planner).toMatchObject({ mode: 'rules', reason: expect.stringContaining('127.0.0.1:9') });
  });
});

/** Runs a hierarchy with the agents themselves, one step after the other. */
async function runWith(body: CreateWorkflow) {
  const { workflow, options } = prepare(hierarchical, body);
  let verdict = hierarchical.start(workflow, options, { type: 'started', atMs: 0, seed: 1 });
  const queue = [...verdict.commands];
  for (let command = queue.shift(); command; command = queue.shift()) {
    if (command.type === 'end') return command;
    if (command.type !== 'schedule') continue;
    const { step, round, task } = command;
    const able = AGENTS.find(([{ manifest }]) => manifest.capabilities.some(({ name }) => name === task.capability));
    if (!able) throw new Error(`nobody can ${task.capability}`);
    const outcome = await attempt(able[0], able[1], task.capability, task.input);
    const about = { step, round, atMs: 1, taskId: step, agentId: null, attempts: 1, startedAtMs: 0 };
    const event: CoordinationEvent =
      outcome?.type === 'completed'
        ? { type: 'step.completed', output: outcome.result, ...about }
        : { type: 'step.failed', state: 'failed', error: (outcome as unknown as { error: WireError }).error, ...about };
    verdict = hierarchical.decide(workflow, options, verdict.state, event);
    queue.push(...verdict.commands);
  }
  throw new Error('it did not end');
}

describe('a hierarchy of the shipped agents', () => {
  test('answers a goal from documents and data, without any model', async () => {
    const goal = 'Which rivers are described? How does the concentration of CO2 change?';
    const end = await runWith({ goal, input: { folder: '.', data: ['co2-concentration.csv', 'missing.csv'] } });
    expect(end).toMatchObject({ status: 'completed', stopReason: 'plan_done' });
    const { result, plan: tree } = end.output as {
      result: { report: { markdown: string; mode: string }; failed: { id: string }[] };
      plan: { rounds: { tasks: { id: string; status: string }[] }[] };
    };
    expect(result.report.mode).toBe('extraction');
    expect(result.report.markdown).toContain('rivers.md');
    expect(result.report.markdown).toContain('co2-concentration.csv');
    expect(result.failed.map(({ id }) => id)).toEqual(['analyse-2-missing']);
    expect(tree.rounds.map(({ tasks }) => tasks.map(({ id }) => id))).toEqual([
      ['survey', 'search-1', 'search-2', 'analyse-1-co2-concentration', 'analyse-2-missing'],
      ['report'],
    ]);
  });
});
