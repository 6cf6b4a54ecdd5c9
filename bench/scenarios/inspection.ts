// What being looked at costs: messages between cells of two threads of a whole node, with the tap taken out of the code, with nobody looking,
// with a viewer attached, and with a viewer whose focus they are.

import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { InspectFocusInput } from '../../runtime/contracts/inspection.ts';
import type { createTroupe as CreateTroupe } from '../../runtime/index.ts';
import type { Report } from '../../test/kit/pool.ts';
import { tellRound } from '../puppets.ts';
import type { PreparedSubject, Scenario, Subject } from '../scenario.ts';

const TIMES = 300_000;
const here = import.meta.url;
const compiled = join(dirname(fileURLToPath(here)), '..', '..');
const puppets = fileURLToPath(new URL(`../../test/kit/actors/puppet.${here.endsWith('.ts') ? 'ts' : 'js'}`, here));

/** A line that looks at the tap. Without any of them there is nothing to inspect with. */
const TAP_LINE = /^\s*if \((?:this\.#|host\.)tap\.messages\)\s*\n?.*;$/gm;

/** The same runtime without the lines that look whether somebody looks. */
function withoutTap(): { readonly at: string; remove(): void } {
  const at = join(compiled, `bare-${process.pid}`);
  for (const folder of ['runtime', 'actors', 'patterns', 'package.json'])
    cpSync(join(compiled, folder), join(at, folder), { recursive: true });
  for (const file of ['delivery.js', 'cell-context.js']) {
    const path = join(at, 'runtime', 'thread', file);
    const source = readFileSync(path, 'utf8');
    const bare = source.replace(TAP_LINE, '');
    if (bare === source || bare.includes('tap.messages')) throw new Error(`the tap of ${file} was not taken out`);
    writeFileSync(path, bare);
  }
  return { at, remove: () => rmSync(at, { recursive: true, force: true }) };
}

/** The live feed as a viewer reads it; undefined: nobody looks. */
type Looks = (from: string, to: string) => InspectFocusInput;

async function prepare(looks: Looks | undefined, bare = false): Promise<PreparedSubject> {
  const copy = bare ? withoutTap() : undefined;
  const entry = copy ? join(copy.at, 'runtime', 'index.js') : join(compiled, 'runtime', 'index.js');
  const { createTroupe } = (await import(entry)) as { createTroupe: typeof CreateTroupe };
  const troupe = await createTroupe({
    dataDir: 'memory://',
    // A machine under load must not cost a node its lease in the middle of a round.
    leaseMs: 120_000,
    threads: 2,
    logLevel: 'error',
    probe: false,
    agentRoots: [puppets],
  });
  const { id: from } = await troupe.agents.spawn('puppet');
  const { id: to } = await troupe.agents.spawn('puppet');
  const ask = (id: string, type: string, body: unknown) => troupe.agents.ask(id, type, body, { timeoutMs: 120_000 });
  const threads = await Promise.all([from, to].map(async (id) => (await troupe.agents.get(id)).thread));
  if (threads[0] === threads[1]) throw new Error('both puppets live in one thread');
  const ending = new AbortController();
  const viewer = looks && watch(troupe.inspection.open({ focus: looks(from, to), signal: ending.signal }).frames);
  return {
    once: async () => {
      const pair = { from, to, ask: (type: string, body: unknown) => ask(from, type, body), close: async () => {} };
      const round = await tellRound({ ...pair, report: () => ask(to, 'report', {}) as Promise<Report> }, TIMES);
      if (viewer?.() === 0) throw new Error('the viewer was told nothing');
      return round;
    },
    async close() {
      ending.abort();
      await troupe.stop();
      copy?.remove();
    },
  };
}

/** Reads it to its end, as a socket would: every frame is written out. Answers how many characters came so far. */
function watch(frames: AsyncIterable<unknown>): () => number {
  let characters = 0;
  void (async () => {
    for await (const frame of frames) characters += JSON.stringify(frame).length;
  })();
  return () => characters;
}

const subject = (name: string, role: Subject['role'], looks?: Looks, bare = false): Subject => ({
  name,
  role,
  prepare: () => prepare(looks, bare),
});

export const scenario: Scenario = {
  name: 'inspection',
  about: 'messages a second between cells of two threads of a whole node, by what of it is looked at',
  subjects: [
    subject('nobody looks', 'ours'),
    subject('the tap taken out of the code', 'limit', undefined, true),
    subject('a viewer without focus', 'peer', () => ({})),
    subject('a viewer with both in focus', 'peer', (from, to) => ({
      actors: [from, to],
      messages: { agents: [from, to] },
    })),
  ],
  floors: { 'the tap taken out of the code': 0.9 },
};
