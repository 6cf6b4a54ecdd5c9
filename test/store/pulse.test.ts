import { describe, expect, test } from 'vitest';
import type { Rows } from '../../runtime/contracts/store.ts';
import { createPulse } from '../../runtime/store/pulse.ts';

/** A database that answers a pulse with `answer` and can be told that something in it has moved. */
function rig(alone: boolean) {
  const world = { asked: 0, nowMs: 0, changes: 0, answer: {} as object };
  const pulse = createPulse(
    {
      query: async <Row>() => {
        world.asked++;
        return { rows: [{ answer: world.answer }], rowCount: 1 } as unknown as Rows<Row>;
      },
      changes: () => world.changes,
    },
    'node',
    { alone, clock: { monotonicMs: () => world.nowMs } },
  );
  return { world, pulse };
}

describe('the pulse of a node that is alone with its database', () => {
  test('asks once while nothing changes, and answers the same', async () => {
    const { world, pulse } = rig(true);
    const first = await pulse();
    world.nowMs = 1_000;
    expect(await pulse()).toEqual(first);
    expect(world.asked).toBe(1);
  });

  test('asks again once something was sent or has ended', async () => {
    const { world, pulse } = rig(true);
    await pulse();
    world.changes++;
    world.answer = { queues: ['a@1'] };
    expect((await pulse()).queues).toEqual(['a@1']);
  });

  test('asks again when a statement moves while it asks', async () => {
    const { world, pulse } = rig(true);
    const asked = pulse();
    world.changes++;
    await asked;
    world.answer = { mail: true };
    expect((await pulse()).mail).toBe(true);
  });

  test('a wait that is over already is no wait, and a part of a millisecond is a whole one', async () => {
    const { world, pulse } = rig(true);
    world.answer = { promoteInMs: -3.5, expireInMs: 0.2 };
    expect(await pulse()).toMatchObject({ promoteInMs: 0, expireInMs: 1, agentTimerInMs: null });
  });

  test('asks every time as long as there is anything to do', async () => {
    const { world, pulse } = rig(true);
    world.answer = { promoteInMs: 60_000 };
    await pulse();
    await pulse();
    expect(world.asked).toBe(2);
  });

  test('asks again before a timer that was out of its sight is due', async () => {
    const { world, pulse } = rig(true);
    await pulse();
    world.nowMs = 9_000;
    world.answer = { agentTimerInMs: 1_001 };
    expect((await pulse()).agentTimerInMs).toBe(1_001);
  });

  test('asks every time where other nodes may write', async () => {
    const { world, pulse } = rig(false);
    await pulse();
    await pulse();
    expect(world.asked).toBe(2);
  });
});
