// Workflows as somebody outside handles them: started, listed, refused, held up, asked about, answered, run again.

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { WorkflowView } from '../../runtime/index.ts';
import { eventually } from '../kit/eventually.ts';
import { type RestNode, restNode, STORES } from '../kit/rest-node.ts';

const once = { maxAttempts: 1 };
const probe = (id: string, input: object = {}, more: object = {}) => ({ id, capability: 'probe.run', input, ...more });
const approval = (id: string, more: object = {}, expiresMs?: number) => ({
  id,
  approval: { prompt: 'Go on?', ...(expiresMs === undefined ? {} : { expiresMs }) },
  ...more,
});

type Row = Record<string, unknown>;

describe.each(STORES)('workflows over REST, on %s', (_store, database) => {
  let rest: RestNode;
  beforeAll(async () => {
    rest = await restNode(await database());
  });
  afterEach(() => rest.dismiss());
  afterAll(() => rest.stop());

  const api: RestNode['api'] = (...call) => rest.api(...call);
  const itemsAt = async (path: string): Promise<Row[]> => (await api('GET', path)).body.items as Row[];
  const begun = async (body: object): Promise<string> => {
    const { id } = await rest.create(body);
    expect((await api('POST', `/workflows/${id}/start`)).status).toBe(202);
    return id;
  };
  const seen = (id: string, look: (view: WorkflowView) => unknown): Promise<WorkflowView> =>
    eventually(async () => {
      const view = await rest.view(id);
      return look(view) ? view : undefined;
    });
  const stateOf = (view: WorkflowView, id: string) => view.tasks.find((step) => step.id === id)?.state;

  describe('a life', () => {
    test('is created, started once, tells how far it is, and completes', async () => {
      await rest.agent('probe');
      const created = await rest.create({ tasks: [probe('a'), approval('gate', { dependsOn: ['a'] }), probe('b')] });
      expect(created).toMatchObject({ status: 'created', pattern: 'sequential', progress: { done: 0, total: 3 } });
      const start = () => api('POST', `/workflows/${created.id}/start`);
      expect(await start()).toMatchObject({ status: 202, body: { status: 'running' } });
      expect(await start()).toMatchObject({ status: 409, body: { code: 'workflow_state' } });
      const half = await seen(created.id, (view) => stateOf(view, 'gate') === 'waiting');
      expect(half).toMatchObject({ status: 'running', progress: { done: 1, total: 3 } });
      const [open] = await itemsAt(`/workflows/${created.id}/inputs`);
      expect(open).toMatchObject({ step: 'gate', kind: 'approval', prompt: 'Go on?', state: 'open' });
      const answered = await api('POST', `/workflows/${created.id}/inputs/gate`, { approved: true, comment: 'fine' });
      expect(answered).toMatchObject({ status: 200, body: { state: 'answered', answeredBy: 'tester' } });
      const view = await rest.ended(created.id);
      expect(view).toMatchObject({ status: 'completed', stopReason: 'all_done', progress: { done: 3, total: 3 } });
      expect(await start()).toMatchObject({ status: 409 });
      for (const verb of ['cancel', 'pause', 'resume'])
        expect(await api('POST', `/workflows/${created.id}/${verb}`), verb).toMatchObject({ status: 409 });
    });

    test('is found in lists by its status and pattern, a page at a time', async () => {
      await rest.agent('probe');
      const bodies = ['sequential', 'parallel', 'parallel'].map((pattern) => ({ pattern, tasks: [probe('a')] }));
      const done = await Promise.all(bodies.map((body) => rest.ran(body)));
      const created = await rest.create({ pattern: 'parallel', tasks: [probe('a')] });
      const listed = await itemsAt('/workflows/list?status=completed&pattern=parallel&limit=500');
      const ids = listed.map(({ id }) => id);
      expect(listed.every(({ status, pattern }) => status === 'completed' && pattern === 'parallel')).toBe(true);
      expect(ids).toEqual(expect.arrayContaining([done[1]?.id, done[2]?.id]));
      expect(ids).not.toContain(created.id);
      const pages: Row[] = [];
      for (let cursor: unknown = ''; cursor !== null; ) {
        const { body } = await api('GET', `/workflows/list?limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`);
        const items = body.items as Row[];
        expect(items.length).toBeLessThanOrEqual(2);
        pages.push(...items);
        cursor = body.nextCursor;
      }
      const all = await itemsAt('/workflows/list?limit=500');
      expect(pages.map(({ id }) => id)).toEqual(all.map(({ id }) => id));
      expect((await api('GET', '/workflows/list?status=done')).status).toBe(422);
    });
  });

  describe('what cannot run is refused with its place', () => {
    const chain = (...pairs: [id: string, dependsOn: string[]][]) => ({
      pattern: 'parallel',
      tasks: pairs.map(([id, dependsOn]) => probe(id, {}, { dependsOn })),
    });
    const vote = (options: object, more: object = {}) => ({
      pattern: 'consensus',
      task: { capability: 'probe.run' },
      voters: { n: 5 },
      options,
      ...more,
    });
    const objective = { capability: 'function.evaluate', input: { function: 'sphere' } };
    const swarm = (options: object) => ({ pattern: 'swarm', objective, options: { bounds: [[-1, 1]], ...options } });
    const stages = [{ id: 's', capability: 'probe.run' }];
    const many = Array.from({ length: 100_000 }, (_, at) => ({ id: `t${at}`, capability: 'probe.run' }));
    const refusals: [what: string, body: object, path: string, code?: string][] = [
      ['a cycle', chain(['a', ['c']], ['b', ['a']], ['c', ['b']]), 'tasks[1].dependsOn[0]', 'workflow_cycle'],
      ['a dependency that is not there', chain(['a', ['nobody']]), 'tasks[0].dependsOn[0]'],
      ['a task that waits for itself', chain(['x', []], ['a', ['x', 'a']]), 'tasks[1].dependsOn[1]'],
      ['an id used twice', chain(['a', []], ['a', []]), 'tasks[1].id'],
      [
        'a reference to nothing',
        { tasks: [probe('a', { answer: [1, { $from: 'ghost.x' }] })] },
        'tasks[0].input.answer[1].$from',
      ],
      ['a reference to an input there is none of', { tasks: [probe('a', { $input: 'x' })] }, 'tasks[0].input.$input'],
      ['a capability nobody has', { tasks: [{ id: 'a', capability: 'no.such' }] }, 'tasks[0].capability'],
      ['a task that does nothing', { tasks: [{ id: 'a' }] }, 'tasks[0].capability'],
      ['no task', { tasks: [] }, 'tasks'],
      ['100,000 tasks', { pattern: 'parallel', tasks: many }, 'tasks'],
      ['a join above the tasks', { ...chain(['a', []]), options: { join: { quorum: 2 } } }, 'options.join.quorum'],
      ['an option there is not', { ...chain(['a', []]), options: { joins: 'all' } }, 'options.joins'],
      ['a join there is not', { ...chain(['a', []]), options: { join: 'most' } }, 'options.join'],
      ['a field of another pattern', { ...chain(['a', []]), goal: 'x' }, 'goal'],
      ['a field there is not', { ...chain(['a', []]), task_list: [] }, 'task_list'],
      ['a quorum above the voters', vote({ quorum: 6 }), 'options.quorum'],
      ['a judge that is not named', vote({ tie: 'judge' }), 'options.judge'],
      ['a vote about nothing', { pattern: 'consensus', voters: { n: 3 } }, 'task'],
      ['a swarm without budget', swarm({}), 'options.maxEvaluations'],
      ['a swarm without space', { pattern: 'swarm', objective, options: { maxIterations: 1 } }, 'options.bounds'],
      ['bounds the wrong way round', swarm({ maxIterations: 1, bounds: [[1, -1]] }), 'options.bounds[0]'],
      ['a pipeline without items', { pattern: 'pipeline', stages, items: [] }, 'items'],
      ['a pipeline without stages', { pattern: 'pipeline', items: [1] }, 'stages'],
      ['a hierarchy without a goal', { pattern: 'hierarchical' }, 'goal'],
      [
        'an auction of dependent tasks',
        { ...chain(['a', []], ['b', ['a']]), pattern: 'auction' },
        'tasks[1].dependsOn',
      ],
      [
        'a fault in a run inside',
        { tasks: [{ id: 'in', workflow: { tasks: [probe('a', {}, { dependsOn: ['b'] })] } }] },
        'tasks[0].workflow.tasks[0].dependsOn[0]',
      ],
      [
        'an option there is not in a run inside',
        { tasks: [{ id: 'in', workflow: { pattern: 'parallel', tasks: [probe('a')], options: { joins: 1 } } }] },
        'tasks[0].workflow.options.joins',
      ],
      ['nothing to choose a pattern by', { pattern: 'auto' }, 'tasks'],
      ['two patterns at once', { pattern: 'auto', goal: 'x', tasks: [probe('a')] }, 'tasks'],
    ];

    test.each(refusals)('%s', async (_what, body, path, code) => {
      const { status, body: problem } = await api('POST', '/workflows/create', body);
      expect({ status, ...problem }).toMatchObject({
        status: 422,
        type: `urn:troupe:problem:${problem.code}`,
        retryable: false,
        errors: [{ path, message: expect.not.stringContaining(`${path}: `) }],
      });
      expect(String(problem.detail)).not.toMatch(/^\S*: Invalid input$/);
      if (code) expect(problem).toMatchObject({ code });
    });

    test('and a cycle with the way around it, as problem+json', async () => {
      const response = await fetch(`${rest.node.url}/api/agents/workflows/create`, {
        method: 'POST',
        headers: { authorization: `Bearer ${rest.token}`, 'content-type': 'application/json' },
        body: JSON.stringify(chain(['a', ['b']], ['b', ['a']])),
      });
      expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/);
      const problem = (await response.json()) as { details: { cycle: string[] } };
      expect(new Set(problem.details.cycle)).toEqual(new Set(['a', 'b']));
    });

    test('a pattern there is not names those there are', async () => {
      const { status, body } = await api('POST', '/workflows/create', { pattern: 'waterfall', tasks: [probe('a')] });
      expect([status, body.code]).toEqual([422, 'unknown_pattern']);
      expect((body.details as { known: string[] }).known).toEqual(
        expect.arrayContaining(['sequential', 'parallel', 'pipeline', 'hierarchical', 'consensus', 'auction', 'swarm']),
      );
    });
  });

  describe('a run that is acted on', () => {
    const nested = (inner: object[], after: object[] = []) => ({
      tasks: [{ id: 'outer', workflow: { tasks: inner } }, ...after],
    });
    const childOf = async (id: string): Promise<string> => {
      const view = await seen(id, ({ tasks }) => tasks.some(({ workflowId }) => workflowId));
      return String(view.tasks.find(({ workflowId }) => workflowId)?.workflowId);
    };

    test('is paused with all below it: what is answered meanwhile waits for the resume', async () => {
      await rest.agent('probe');
      const id = await begun(nested([approval('gate'), probe('after', { answer: 'done' }, { dependsOn: ['gate'] })]));
      const child = await childOf(id);
      await seen(child, (view) => stateOf(view, 'gate') === 'waiting');
      expect(await api('POST', `/workflows/${id}/pause`)).toMatchObject({ status: 200, body: { status: 'paused' } });
      await seen(child, ({ status }) => status === 'paused');
      const [asked] = await itemsAt(`/workflows/${id}/inputs?state=open`);
      expect(asked).toMatchObject({ workflowId: child, rootId: id, step: 'gate' });
      const answerAt = String(asked?.answerAt).replace('/api/agents', '');
      expect((await api('POST', answerAt, { approved: true })).status).toBe(200);
      await seen(child, (view) => stateOf(view, 'gate') === 'completed');
      expect(stateOf(await rest.view(child), 'after')).not.toBe('running');
      expect((await rest.view(id)).status).toBe('paused');
      expect(await api('POST', `/workflows/${id}/resume`)).toMatchObject({ status: 200, body: { status: 'running' } });
      expect(await rest.ended(id)).toMatchObject({
        status: 'completed',
        output: { outer: { after: { answer: 'done' } } },
      });
    });

    test('is cancelled with every run and task below it', async () => {
      await rest.agent('probe');
      const deep = { tasks: [probe('sleep', { sleepMs: 60_000 })] };
      const id = await begun(nested([{ id: 'deeper', workflow: deep }]));
      const child = await childOf(id);
      const grandchild = await childOf(child);
      await seen(grandchild, (view) => stateOf(view, 'sleep') === 'running');
      expect((await itemsAt(`/workflows/list?parent=${id}`)).map((row) => row.id)).toEqual([child]);
      expect((await api('POST', `/workflows/${id}/cancel`)).status).toBe(202);
      for (const one of [id, child, grandchild])
        expect(await rest.ended(one)).toMatchObject({ status: 'cancelled', stopReason: 'cancelled' });
      const [task] = await itemsAt(`/tasks/list?workflowId=${grandchild}`);
      await expect.poll(async () => (await api('GET', `/tasks/${task?.id}`)).body.status).toBe('cancelled');
      expect(await api('POST', `/workflows/${id}/cancel`)).toMatchObject({
        status: 202,
        body: { status: 'cancelled' },
      });
    });

    test('is refused by a person, or asks in vain', async () => {
      const no = await begun({ tasks: [approval('gate')] });
      await seen(no, (view) => stateOf(view, 'gate') === 'waiting');
      expect(await api('POST', `/workflows/${no}/inputs/gate`, { value: 'yes' })).toMatchObject({ status: 422 });
      expect(await api('POST', `/workflows/${no}/inputs/other`, { approved: true })).toMatchObject({ status: 404 });
      await api('POST', `/workflows/${no}/inputs/gate`, { approved: false, comment: 'too dear' });
      const rejected = await rest.ended(no);
      expect(rejected).toMatchObject({ status: 'failed', tasks: [{ state: 'failed', error: { code: 'rejected' } }] });
      expect(rejected.tasks[0]?.error?.message).toContain('too dear');

      const expired = await rest.ran({ tasks: [approval('gate', {}, 1)] });
      expect(expired).toMatchObject({ status: 'failed', tasks: [{ error: { code: 'input_expired' } }] });
      expect(await itemsAt(`/workflows/${expired.id}/inputs`)).toMatchObject([{ state: 'closed' }]);
      expect(await api('POST', `/workflows/${expired.id}/inputs/gate`, { approved: true })).toMatchObject({
        status: 409,
        body: { code: 'input_closed' },
      });
    });

    test('asks a person for a value of a shape, which later steps use', async () => {
      await rest.agent('probe');
      const schema = { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] };
      const id = await begun({
        tasks: [
          { id: 'ask', ask: { prompt: 'How many?', schema } },
          probe('use', { answer: { $from: 'ask.n' } }, { dependsOn: ['ask'] }),
        ],
      });
      await seen(id, (view) => stateOf(view, 'ask') === 'waiting');
      expect((await itemsAt('/inputs?state=open')).map(({ workflowId }) => workflowId)).toContain(id);
      expect(await api('POST', `/workflows/${id}/inputs/ask`, { value: { n: 'x' } })).toMatchObject({
        status: 422,
        body: { errors: [{ path: 'value.n' }] },
      });
      expect((await api('POST', `/workflows/${id}/inputs/ask`, { value: { n: 3 } })).status).toBe(200);
      expect(await rest.ended(id)).toMatchObject({ status: 'completed', output: { sink: { answer: 3 } } });
    });

    test('a step waits for its signal, and one that starts later takes it too', async () => {
      await rest.agent('probe');
      const wait = (id: string, dependsOn: string[] = []) => ({ id, signal: { key: 'paid' }, dependsOn });
      const id = await begun({
        pattern: 'parallel',
        tasks: [wait('gate'), probe('use', { answer: { $from: 'gate.amount' } }), wait('again', ['use'])],
      });
      const waiting = await seen(id, (view) => stateOf(view, 'gate') === 'waiting');
      expect(waiting.tasks[0]).toMatchObject({ reason: 'signal:paid' });
      await api('POST', `/workflows/${id}/signals`, { key: 'other' });
      for (const amount of [5, 6]) await api('POST', `/workflows/${id}/signals`, { key: 'paid', value: { amount } });
      expect(await rest.ended(id)).toMatchObject({
        status: 'completed',
        output: { gate: { amount: 5 }, use: { answer: 5 }, again: { amount: 5 } },
      });
    });

    test('takes a signal while it runs', async () => {
      const { id } = await rest.create({ tasks: [approval('gate')] });
      const signal = () => api('POST', `/workflows/${id}/signals`, { key: 'hurry', value: { by: 'ann' } });
      expect((await signal()).status).toBe(409);
      await api('POST', `/workflows/${id}/start`);
      expect(await signal()).toMatchObject({ status: 202, body: { kept: true } });
      await api('POST', `/workflows/${id}/cancel`);
      expect((await signal()).status).toBe(409);
    });

    test('says that it waits for an agent there is not', async () => {
      const id = await begun({ tasks: [probe('a')] });
      await seen(id, ({ tasks }) => tasks[0]?.reason === 'no_agent_offers_capability');
      await rest.agent('probe');
      expect((await rest.ended(id)).tasks[0]).not.toHaveProperty('reason');
    });

    test('is run again from where it failed, once what was wrong is mended', async () => {
      const agent = await rest.agent('probe', { failTimes: 9 });
      const failed = await rest.ran({
        tasks: [
          probe('a', { answer: 'kept', failTimes: 0 }),
          probe('b', { answer: { $from: 'a.answer' } }, { dependsOn: ['a'], retry: once }),
        ],
      });
      expect(failed).toMatchObject({ status: 'failed', stopReason: 'step_failed' });
      expect((await api('PATCH', `/${agent.id}`, { config: { failTimes: 0 } })).status).toBe(200);
      const fork = await api('POST', `/workflows/${failed.id}/fork`, { name: 'second try' });
      expect(fork).toMatchObject({ status: 201, body: { name: 'second try', forkOf: { workflowId: failed.id } } });
      const view = await rest.ended(String(fork.body.id));
      expect(view).toMatchObject({ status: 'completed', output: { a: { answer: 'kept' }, b: { answer: 'kept' } } });
      const ran = await itemsAt(`/tasks/list?workflowId=${view.id}`);
      expect(ran).toHaveLength(1);
      const again = await api('POST', `/workflows/${view.id}/fork`, { fromStep: 'nowhere' });
      expect(again).toMatchObject({ status: 422, body: { errors: [{ path: 'fromStep' }] } });
    });
  });

  describe('what is asked about workflows', () => {
    test('a plan shows order, levels and needless edges, and runs nothing', async () => {
      const before = (await itemsAt('/workflows/list?limit=500')).length;
      const { status, body } = await api('POST', '/workflows/plan', {
        pattern: 'parallel',
        tasks: [
          probe('a'),
          probe('b', {}, { dependsOn: ['a'] }),
          probe('c', {}, { dependsOn: ['a', 'b'] }),
          probe('d'),
        ],
      });
      expect(status).toBe(200);
      expect(body).toMatchObject({
        levels: [['a', 'd'], ['b'], ['c']],
        redundantEdges: [{ step: 'c', dependsOn: 'a' }],
        criticalPath: ['a', 'b', 'c'],
        predicted: { parallelMs: expect.any(Number), sequentialMs: expect.any(Number) },
      });
      expect(await itemsAt('/workflows/list?limit=500')).toHaveLength(before);
    });

    test('statistics tell outcomes by pattern, and nothing stands still', async () => {
      await rest.agent('probe');
      await rest.ran({ pattern: 'parallel', tasks: [probe('a')] });
      const { body } = await api('GET', '/workflows/statistics');
      const parallel = (body.patterns as Row[]).find(({ pattern }) => pattern === 'parallel');
      expect(parallel).toMatchObject({ runs: expect.any(Number), byStatus: { completed: expect.any(Number) } });
      expect(await itemsAt('/workflows/stuck?idleS=0')).toEqual([]);
    });

    const task = { capability: 'probe.run' };
    const labelled: [pattern: string, body: object][] = [
      ['sequential', { tasks: [probe('a')] }],
      ['sequential', { tasks: [probe('a'), probe('b', {}, { dependsOn: ['a'] })] }],
      ['sequential', { tasks: [probe('a'), probe('b', { answer: { $from: 'a.answer' } })] }],
      ['parallel', { tasks: [probe('a'), probe('b')] }],
      ['parallel', { tasks: [probe('a'), probe('b', {}, { dependsOn: ['a'] }), probe('c', {}, { dependsOn: ['a'] })] }],
      ['parallel', { tasks: [probe('a'), probe('b')], options: { join: 'race' } }],
      ['pipeline', { stages: [{ id: 's', ...task }], items: [1] }],
      ['pipeline', { stages: [{ id: 's', ...task }], open: true }],
      ['hierarchical', { goal: 'to know' }],
      ['hierarchical', { goal: 'to know', coordinator: { capability: 'plan.make' } }],
      ['consensus', { task, voters: { n: 3 } }],
      ['consensus', { question: 'yes or no?', task, voters: { agents: ['ann', 'bob'] } }],
      ['auction', { tasks: [probe('a'), probe('b')], options: { replyByMs: 100 } }],
      ['swarm', { objective: { capability: 'function.evaluate' }, options: { bounds: [[0, 1]], maxIterations: 1 } }],
    ];
    test.each(labelled)('"auto" takes %s for what is of that kind, and says why', async (pattern, body) => {
      const { body: plan } = await api('POST', '/workflows/plan', { pattern: 'auto', ...body });
      expect(plan).toMatchObject({ pattern, selected: { from: 'auto', rule: expect.stringMatching(/\w+ \w+/) } });
    });

    test('a run that was left to "auto" records what was chosen', async () => {
      await rest.agent('probe');
      const view = await rest.ran({ pattern: 'auto', tasks: [probe('a'), probe('b')] });
      expect(view).toMatchObject({ pattern: 'parallel', status: 'completed' });
      const decisions = await itemsAt(`/workflows/${view.id}/decisions`);
      expect(decisions[0]).toMatchObject({ kind: 'select', rule: 'no task depends on another' });
      expect(decisions.map(({ kind }) => kind).sort()).toEqual(['join', 'placement', 'placement', 'select', 'stop']);
    });

    test('a run records which agent was chosen for each step, by which rule and among whom', async () => {
      for (const _ of [1, 2]) await rest.agent('probe');
      const view = await rest.ran({ pattern: 'sequential', tasks: [probe('a'), probe('b')] });
      const decisions = await itemsAt(`/workflows/${view.id}/decisions`);
      const steps = view.tasks as { id: string; agentId: string }[];
      expect(decisions.filter(({ kind }) => kind === 'placement')).toMatchObject(
        steps.map(({ id, agentId }) => ({
          rule: 'longest_waiting',
          step: id,
          round: 0,
          chosen: agentId,
          candidates: expect.arrayContaining([{ id: agentId, score: 1 }]),
        })),
      );
    });
  });
});
