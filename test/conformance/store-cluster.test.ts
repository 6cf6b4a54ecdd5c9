// What nodes learn of each other on every database: who lives where, who is there, and the secret they share.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Store } from '../../runtime/contracts/store.ts';
import { type StoreDb, sql } from '../../runtime/store/sql.ts';
import { ENGINES, newId, openNode, unique } from '../kit/store.ts';

describe.each(ENGINES)('the cluster on $name', (backend) => {
  let db: StoreDb;
  let close: () => Promise<void>;

  beforeAll(async () => {
    ({ db, close } = await backend.open());
  });
  afterAll(() => close());

  async function agent(store: Store) {
    const name = unique('agent');
    const made = await store.agents.create({
      id: newId('agent'),
      tenant: 'acme',
      type: 'test',
      defHash: 'hash',
      name,
      config: {},
      capabilities: null,
      isolation: 'shared',
    });
    if (made.outcome !== 'created') throw new Error(made.outcome);
    return made.agent.id;
  }

  test('all nodes get the same secret, made once', async () => {
    const [one, two] = [await openNode(db), await openNode(db)];
    const keys = await Promise.all([one.cluster.key(), two.cluster.key(), one.cluster.key()]);
    expect(keys[0]).toHaveLength(32);
    expect(new Set(keys.map((key) => Buffer.from(key).toString('hex'))).size).toBe(1);
  });

  test('an agent is placed with its owner, without one, or ended; what is no agent has no place', async () => {
    const [one, two] = [await openNode(db), await openNode(db)];
    const [here, there, gone] = [await agent(one), await agent(two), await agent(one)];
    await one.agents.update(gone, 'acme', { desired: 'terminated' });
    const nobody = newId('agent');
    const look = async () =>
      new Map((await one.cluster.places([here, there, gone, nobody, 'rubbish' as never])).map((row) => [row.id, row]));
    const before = await look();
    expect(before.get(here)).toMatchObject({ owner: one.node, epoch: 1, ended: false });
    expect(before.get(there)).toMatchObject({ owner: two.node, ended: false });
    expect(before.get(gone)).toMatchObject({ ended: true });
    expect(before.size).toBe(3);
    await two.leases.release();
    expect((await look()).get(there)).toMatchObject({ owner: null, ended: false });
    expect(await one.cluster.places([])).toEqual([]);
  });

  test('members are shown with their agents and the age of their heartbeat, until they are given up', async () => {
    const [one, two] = [await openNode(db), await openNode(db)];
    await agent(two);
    await agent(two);
    const row = async (store: Store) => (await one.cluster.members()).find(({ id }) => id === store.node);
    expect(await row(two)).toMatchObject({ agents: 2, alive: true, draining: false });
    expect((await row(two))?.heartbeatAgeMs).toBeLessThan(30_000);
    await two.leases.setDraining(true);
    expect(await row(two)).toMatchObject({ draining: true });
    await db.query(
      sql('test_expire', `UPDATE node SET lease_until = clock_timestamp() - interval '1 second' WHERE draining`),
    );
    expect(await row(two)).toMatchObject({ alive: false });
    await two.leases.release();
    expect(await row(two)).toBeUndefined();
  });
});
