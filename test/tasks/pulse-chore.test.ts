import { describe, expect, test } from 'vitest';
import type { Pulse } from '../../runtime/contracts/store.ts';
import { pulseChore } from '../../runtime/tasks/pulse-chore.ts';
import { QUIET_PULSE } from '../kit/pulse.ts';

const POLL_MS = 200;

/** A chore whose pulse says what `next` holds; what it asked for since the last round. */
function rig(running: () => number = () => 0) {
  let next: Pulse = QUIET_PULSE;
  let asked: unknown[] = [];
  const chore = pulseChore({
    store: { pulse: async () => next },
    dispatcher: {
      hint: (queue: string) => void asked.push(`hint ${queue}`),
      running: () => Array.from({ length: running() }, () => ({})),
    } as never,
    config: { pollMs: POLL_MS },
    onRuns: () => void asked.push('runs'),
  });
  return {
    chore,
    async round(pulse: Partial<Pulse>): Promise<unknown[]> {
      next = { ...QUIET_PULSE, ...pulse };
      asked = [];
      await chore.run((name, inMs) => void asked.push(inMs === undefined ? name : `${name} in ${inMs}`));
      return asked;
    },
  };
}

describe('the pulse', () => {
  test('is asked for once a poll', () => {
    expect(rig().chore).toMatchObject({ name: 'pulse', everyMs: POLL_MS });
  });

  test.each<[string, Partial<Pulse>, string[]]>([
    ['nothing when there is nothing to do', {}, []],
    ['the dispatcher for each queue, in order', { queues: ['b@1', 'a@1'] }, ['hint b@1', 'hint a@1']],
    ['the runs when one has mail', { mail: true }, ['runs']],
    ['the runs when one has no owner', { freeRuns: true }, ['runs']],
    ['for the sweep', { sweep: true }, ['sweep-leases']],
    ['for adoption', { freeAgents: true }, ['agent-adoption']],
    ['for promotion when it is due', { promoteInMs: 0 }, ['promote in 0']],
    ['for expiry within the next poll', { expireInMs: POLL_MS }, [`expire in ${POLL_MS}`]],
    ['for timers of runs', { workflowTimerInMs: 7 }, ['fire-timers in 7']],
    ['for timers of agents', { agentTimerInMs: 9 }, ['agent-timers in 9']],
    [
      'for nothing that is due after the next poll: that one will say it',
      { promoteInMs: POLL_MS + 1, expireInMs: 1e9, workflowTimerInMs: 1e9, agentTimerInMs: 1e9 },
      [],
    ],
  ])('asks %s', async (_name, pulse, asked) => {
    expect(await rig().round(pulse)).toEqual(asked);
  });

  test('asks for the lost claims when the database knows fewer than run here', async () => {
    const { round } = rig(() => 2);
    expect(await round({ running: 1 })).toEqual(['lost-claims']);
    expect(await round({ running: 2 })).toEqual([]);
    expect(await round({ running: 3 })).toEqual([]);
  });

  test('counts what runs here after the answer: what was claimed meanwhile is compared, not missed', async () => {
    let running = 0;
    const asked: string[] = [];
    const chore = pulseChore({
      store: {
        pulse: async () => {
          running = 1;
          return QUIET_PULSE;
        },
      },
      dispatcher: { hint: () => {}, running: () => Array.from({ length: running }, () => ({})) } as never,
      config: { pollMs: POLL_MS },
    });
    await chore.run((name) => void asked.push(name));
    expect(asked).toEqual(['lost-claims']);
  });

  test('asks for the commands of others once for each change', async () => {
    const { round } = rig();
    expect(await round({ foreignChanges: 3 })).toEqual(['agent-commands']);
    expect(await round({ foreignChanges: 3 })).toEqual([]);
    expect(await round({ foreignChanges: 4 })).toEqual(['agent-commands']);
    // An agent that left this node takes its changes with it.
    expect(await round({ foreignChanges: 0 })).toEqual(['agent-commands']);
  });
});
