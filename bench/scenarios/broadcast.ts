// One message to a thousand members of a channel on one node, until each of them has handled it. Beside it, what the same takes as a
// thousand single messages from outside.

import { createTroupe, type Troupe } from '../../runtime/index.ts';
import type { Scenario, Subject } from '../scenario.ts';

const MEMBERS = 1_000;
const BROADCASTS = 50;
const THREADS = 2;

interface Audience {
  readonly troupe: Troupe;
  readonly ids: readonly string[];
  /** The last member in each thread: messages reach a thread in order, so once it answers the others there have handled theirs. */
  readonly last: readonly string[];
}

async function audience(): Promise<Audience> {
  const troupe = await createTroupe({ dataDir: 'memory://', threads: THREADS, logLevel: 'error' });
  const made = await Promise.all(
    Array.from({ length: MEMBERS }, () => troupe.agents.create({ type: 'probe', labels: { bench: 'yes' } })),
  );
  await Promise.all(made.map(({ id }) => troupe.agents.started(id)));
  const ids = made.map(({ id }) => id as string).sort();
  await troupe.messages.channels.create({ name: 'all', members: ids });
  const threads = new Map<number | null, string>();
  for (const id of ids) threads.set((await troupe.agents.get(id)).thread, id);
  return { troupe, ids, last: [...threads.values()] };
}

/** The median time in milliseconds of many such messages; every member must have counted all of them. */
async function measure({ troupe, ids, last }: Audience, send: () => Promise<void>): Promise<number> {
  const took: number[] = [];
  for (let sent = 0; sent < BROADCASTS; sent++) {
    const began = performance.now();
    await send();
    await Promise.all(last.map((id) => troupe.agents.ask(id, 'counted', null, { timeoutMs: 10_000 })));
    took.push(performance.now() - began);
  }
  await Promise.all(
    ids.map(async (id) => {
      const { counted } = (await troupe.agents.ask(id, 'counted', null, { timeoutMs: 10_000 })) as { counted: number };
      if (counted !== BROADCASTS) throw new Error(`${id} counted ${counted} of ${BROADCASTS}`);
      await troupe.agents.tell(id, 'reset', null);
    }),
  );
  return took.sort((a, b) => a - b)[Math.floor(took.length / 2)] ?? 0;
}

const subject = (
  name: string,
  role: Subject['role'],
  sender: (audience: Audience) => () => Promise<void>,
): Subject => ({
  name,
  role,
  async prepare() {
    const all = await audience();
    return {
      once: async () => ({ count: await measure(all, sender(all)), ms: 1_000 }),
      close: () => all.troupe.system.stop({ timeoutMs: 0 }),
    };
  },
});

export const scenario: Scenario = {
  name: 'broadcast',
  about: `one message to ${MEMBERS} members of a channel in ${THREADS} threads, until all have handled it; median of ${BROADCASTS}`,
  unit: ' ms',
  subjects: [
    subject('troupe, broadcast into a channel', 'ours', ({ troupe }) => async () => {
      const { attempted } = await troupe.messages.broadcast('all', 'count', 1);
      if (attempted !== MEMBERS) throw new Error(`sent to ${attempted} of ${MEMBERS}`);
    }),
    subject('troupe, multicast by label', 'peer', ({ troupe }) => async () => {
      await troupe.messages.multicast({ label: { bench: 'yes' } }, 'count', 1);
    }),
    subject('troupe, a tell to each', 'peer', ({ troupe, ids }) => async () => {
      await Promise.all(ids.map((id) => troupe.agents.tell(id, 'count', 1)));
    }),
  ],
};
