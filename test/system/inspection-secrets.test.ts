// Secrets planted in configuration, payload and context, looked for in everything that an inspector is told.

import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { InspectFrame } from '../../runtime/contracts/inspection.ts';
import { type ApiNode, apiNode } from '../kit/api-node.ts';
import { eventually } from '../kit/eventually.ts';

/** Each with a way in which it looks like a secret: by its field, by its form, or because the node itself is configured with it. */
const PLANTED = {
  jwt: 'planted-signing-0123456789abcdef0123456789',
  password: 'planted-password-hunter2',
  apiKey: 'planted-api-key-1',
  bearer: 'planted.bearer.token-0123456789',
  urlPassword: 'planted-url-password',
  service: 'sk-planted0123456789abcdefgh',
};
const payload = {
  password: PLANTED.password,
  nested: [{ apiKey: PLANTED.apiKey }],
  header: `Authorization: Bearer ${PLANTED.bearer}`,
  link: `postgres://ann:${PLANTED.urlPassword}@db/app`,
  [`say ${PLANTED.jwt}`]: `our key is ${PLANTED.jwt}`,
  note: `use ${PLANTED.service} for it`,
};
let node: ApiNode;
beforeAll(async () => {
  const kit = (name: string): string => fileURLToPath(new URL(`../kit/actors/${name}.ts`, import.meta.url));
  node = await apiNode({
    threads: 2,
    leaseMs: 60_000,
    jwtSecret: PLANTED.jwt,
    ollamaHost: `http://ann:${PLANTED.urlPassword}@127.0.0.1:1`,
    agentRoots: [kit('turnstile')],
  });
}, 120_000);
afterAll(async () => {
  await node?.stop();
});

test('none of them shows in the tree, an agent, the configuration or any frame of a feed', async () => {
  const { troupe } = node;
  const ending = new AbortController();
  const frames: InspectFrame[] = [];
  const agent = await troupe.agents.spawn('turnstile', { name: 'gate' });
  const probe = await troupe.agents.spawn('probe', { name: 'probe', config: { answer: payload } });
  const feed = troupe.inspection.open({
    focus: { actors: [agent.id, probe.id, 'main'], messages: { agents: [] } },
    signal: ending.signal,
  });
  const reading = (async () => {
    for await (const frame of feed.frames) frames.push(frame);
  })();
  const seen = (type: string): boolean => frames.some((frame) => frame.type === type);
  await node.api('GET', '/../inspect/agents/gate');
  await eventually(() => seen('focus'));
  await troupe.agents.tell(agent.id, 'coin', payload);
  const task = await troupe.tasks.start({
    capability: 'probe.run',
    agentId: probe.id,
    input: { failTimes: 1, failCode: `bearer ${PLANTED.bearer}`, answer: payload },
    retry: { maxAttempts: 1 },
  });
  await troupe.tasks.wait(task.id, { timeoutMs: 10_000 });
  await eventually(() => seen('actors') && seen('messages') && seen('events') && seen('figures'));
  await eventually(() =>
    frames.some((frame) => frame.type === 'messages' && frame.items.some(({ type }) => type === 'coin')),
  );
  const routes = ['/tree', '/agents/gate', '/agents/probe', '/threads', '/nodes', '/config'];
  const answers = await Promise.all(routes.map((path) => node.api('GET', `/../inspect${path}`)));
  expect(answers.map(({ status }) => status)).toEqual(routes.map(() => 200));
  ending.abort();
  await reading;
  const told = JSON.stringify([answers, frames]);
  // What is not secret is there: the scan below would find nothing in an empty text.
  expect(told).toContain('our key is (secret)');
  expect(told).toContain('use (secret) for it');
  expect(Object.entries(PLANTED).filter(([, secret]) => told.includes(secret))).toEqual([]);
});
