// What handlers of tasks ask people, as a person meets it: listed over REST and on the command line, and answered at either end.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../kit/eventually.ts';
import { type RestNode, restNode, STORES } from '../kit/rest-node.ts';

const run = promisify(execFile);
const cli = fileURLToPath(new URL('../../dist/http/cli.js', import.meta.url));
const ask = (id: string, prompt: string) => ({ id, capability: 'inquirer.ask', input: { prompt } });

describe.each(STORES)('questions of tasks on %s', (_name, databaseUrl) => {
  let rest: RestNode;
  beforeAll(async () => {
    rest = await restNode(await databaseUrl());
    await rest.agent('inquirer');
  });
  afterAll(() => rest.stop());

  const troupe = async (...args: string[]): Promise<string> => {
    const env = { PATH: process.env.PATH ?? '', TROUPE_URL: rest.node.url, TROUPE_TOKEN: rest.token };
    return (await run(process.execPath, [cli, ...args], { env })).stdout;
  };
  const items = async (path: string) => (await rest.api('GET', path)).body.items as Record<string, unknown>[];
  const listed = (path: string, count: number) =>
    eventually(async () => {
      const found = await items(path);
      return found.length === count && found;
    });

  test('those of runs inside are listed under the run, and answered where they say', async () => {
    const { id } = await rest.create({
      tasks: [
        {
          id: 'inner',
          workflow: { pattern: 'parallel', tasks: [ask('left', 'how many?'), ask('right', 'and there?')] },
        },
      ],
    });
    await rest.api('POST', `/workflows/${id}/start`);
    const found = await listed(`/workflows/${id}/inputs`, 2);
    expect(found.map(({ step, kind, rootId }) => [step, kind, rootId]).sort()).toEqual([
      ['left', 'input', id],
      ['right', 'input', id],
    ]);
    expect(await items(`/workflows/${id}/inputs?state=closed`)).toEqual([]);
    const [first, second] = found;
    const answered = await rest.api('POST', String(first?.answerAt).replace('/api/agents', ''), { value: 1 });
    expect(answered).toMatchObject({ status: 200, body: { step: first?.step, state: 'answered', value: 1 } });
    expect(await rest.api('POST', String(first?.answerAt).replace('/api/agents', ''), { value: 1 })).toMatchObject({
      status: 404,
    });

    const shown = await troupe('workflow', 'inputs', id);
    expect(shown).toContain(String(second?.workflowId));
    expect(shown).toContain(String(second?.taskId));
    await troupe('workflow', 'answer', String(second?.workflowId), String(second?.step), '--value', '2');
    const { status, output } = await rest.ended(id);
    expect({ status, output }).toMatchObject({
      status: 'completed',
      output: { inner: { [String(first?.step)]: 1, [String(second?.step)]: 2 } },
    });
  });

  test('those of tasks that belong to no run are listed beside them, each once', async () => {
    const alone = await rest.api('POST', '/tasks/submit', { capability: 'inquirer.ask', input: { prompt: 'alone?' } });
    const { id } = await rest.create({ tasks: [ask('a', 'in a run?')] });
    await rest.api('POST', `/workflows/${id}/start`);
    const found = await listed('/inputs', 2);
    expect(found.map(({ prompt }) => prompt).sort()).toEqual(['alone?', 'in a run?']);
    const task = String(alone.body.id);
    expect(await troupe('workflow', 'inputs')).toContain(task);
    await expect(troupe('task', 'answer', task, '--value', '"two"')).rejects.toMatchObject({ code: 1 });
    await troupe('task', 'answer', task, '--value', '2', '--question', '0');
    expect((await rest.api('GET', `/tasks/${task}`, undefined, { prefer: 'wait=20' })).body).toMatchObject({
      result: 2,
    });
    await troupe('task', 'answer', String(found.find(({ step }) => step === 'a')?.taskId), '--value', '3');
    expect(await rest.ended(id)).toMatchObject({ status: 'completed', output: { a: 3 } });
    expect(await items('/inputs?state=open')).toEqual([]);
  });
});
