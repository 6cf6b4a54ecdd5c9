import { describe, expect, test } from 'vitest';
import { RuntimeError } from '../../runtime/contracts/errors.ts';
import { LeaseKeeper } from '../../runtime/tasks/lease-keeper.ts';
import { type Chore, Sweeper } from '../../runtime/tasks/sweeper.ts';
import { testAmbient } from '../kit/ambient.ts';

const away = () => new RuntimeError('store_unavailable', 'away');

function counting(name: string, everyMs: number, run: () => Promise<unknown>) {
  const chore = {
    name,
    everyMs,
    runs: 0,
    run: () => {
      chore.runs += 1;
      return run();
    },
  };
  return chore satisfies Chore;
}
const nothing = async () => {};

describe('the periodic loop', () => {
  test('runs each chore at its own pace', async () => {
    const ambient = testAmbient();
    const fast = counting('fast', 100, nothing);
    const slow = counting('slow', 1_000, nothing);
    const sweeper = new Sweeper(ambient, [fast, slow]);
    sweeper.start();
    await ambient.clock.advanceAsync(2_050);
    expect([fast.runs, slow.runs]).toEqual([20, 2]);
    await sweeper.stop();
    expect(ambient.clock.pending).toBe(0);
  });

  test('chores that are seldom take turns instead of coming all at once', async () => {
    const ambient = testAmbient();
    const at: number[] = [];
    const seldom = ['a', 'b', 'c'].map((name) => ({
      name,
      everyMs: 30_000,
      run: async () => void at.push(ambient.clock.monotonicMs()),
    }));
    const sweeper = new Sweeper(ambient, seldom);
    const startMs = ambient.clock.monotonicMs();
    sweeper.start();
    await ambient.clock.advanceAsync(75_000);
    expect(at.map((ms) => ms - startMs)).toEqual([30_000, 35_000, 40_000, 60_000, 65_000, 70_000]);
    await sweeper.stop();
  });

  test('a failing chore backs off and never stops the others', async () => {
    const ambient = testAmbient();
    const failing = counting('failing', 100, () => Promise.reject(away()));
    const fine = counting('fine', 100, nothing);
    const sweeper = new Sweeper(ambient, [failing, fine]);
    sweeper.start();
    await ambient.clock.advanceAsync(5_050);
    expect(fine.runs).toBe(50);
    expect(failing.runs).toBeGreaterThan(4);
    expect(failing.runs).toBeLessThan(20);
    expect(ambient.logged.filter(({ level }) => level === 'warn')).toHaveLength(1);
    await sweeper.stop();
  });

  test('a chore that throws before its first await is isolated too', async () => {
    const ambient = testAmbient();
    const broken = counting('broken', 100, () => {
      throw new Error('a bug');
    });
    const fine = counting('fine', 100, nothing);
    const sweeper = new Sweeper(ambient, [broken, fine]);
    sweeper.start();
    await ambient.clock.advanceAsync(1_050);
    expect(fine.runs).toBe(10);
    expect(broken.runs).toBeGreaterThan(1);
    await sweeper.stop();
  });

  test('a chore that hangs is not run again and does not stop the others', async () => {
    const ambient = testAmbient();
    const hanging = counting('hanging', 100, () => new Promise<void>(() => {}));
    const fine = counting('fine', 100, nothing);
    const sweeper = new Sweeper(ambient, [hanging, fine]);
    sweeper.start();
    await ambient.clock.advanceAsync(1_050);
    expect([hanging.runs, fine.runs]).toEqual([1, 10]);
    const stopped = sweeper.stop();
    await ambient.clock.advanceAsync(10_000);
    await stopped;
    expect(ambient.clock.pending).toBe(0);
  });

  test('a chore that asks for an earlier round gets it', async () => {
    const ambient = testAmbient();
    const eager = counting('eager', 1_000, async () => ({ nextInMs: 100 }));
    const sweeper = new Sweeper(ambient, [eager]);
    sweeper.start();
    await ambient.clock.advanceAsync(1_450);
    expect(eager.runs).toBe(5);
    await sweeper.stop();
  });

  test('soon brings a chore forward, also one that is running', async () => {
    const ambient = testAmbient();
    let finish = () => {};
    const chore = counting(
      'promote',
      1_000,
      () =>
        new Promise<void>((resolve) => {
          finish = resolve;
        }),
    );
    const sweeper = new Sweeper(ambient, [chore]);
    sweeper.start();
    sweeper.soon('promote', 50);
    await ambient.clock.advanceAsync(60);
    expect(chore.runs).toBe(1);
    sweeper.soon('promote', 50);
    finish();
    await ambient.clock.advanceAsync(60);
    expect(chore.runs).toBe(2);
    finish();
    await sweeper.stop();
  });

  test('refuses two chores of one name', () => {
    const chore = counting('x', 1, nothing);
    expect(() => new Sweeper(testAmbient(), [chore, chore])).toThrow('same name');
  });
});

describe('the lease', () => {
  function keeper(renew: () => Promise<boolean>) {
    const ambient = testAmbient();
    const calls: string[] = [];
    const lease = new LeaseKeeper({
      leases: { renew },
      ambient,
      leaseMs: 6_000,
      onDoubt: () => calls.push('doubt'),
      onBack: () => calls.push('back'),
      onLost: () => calls.push('lost'),
    });
    const sweeper = new Sweeper(ambient, [lease.chore()]);
    lease.opened();
    sweeper.start();
    const end = async () => {
      lease.stop();
      await sweeper.stop();
      expect(ambient.clock.pending).toBe(0);
    };
    return { ambient, calls, lease, end };
  }

  test('is renewed three times per lease and never in doubt', async () => {
    let renewals = 0;
    const rig = keeper(async () => {
      renewals += 1;
      return true;
    });
    await rig.ambient.clock.advanceAsync(60_000);
    expect(renewals).toBe(30);
    expect(rig.calls).toEqual([]);
    await rig.end();
  });

  test('is in doubt before it ends and held again after a late renewal', async () => {
    let up = false;
    const rig = keeper(() => (up ? Promise.resolve(true) : Promise.reject(away())));
    await rig.ambient.clock.advanceAsync(4_900);
    expect(rig.calls).toEqual([]);
    await rig.ambient.clock.advanceAsync(200);
    expect(rig.calls).toEqual(['doubt']);
    expect(rig.lease.sure).toBe(false);
    up = true;
    await rig.ambient.clock.advanceAsync(3_000);
    expect(rig.calls).toEqual(['doubt', 'back']);
    expect(rig.lease.sure).toBe(true);
    await rig.end();
  });

  test('is not sure any more when a frozen node wakes up, before any of its timers has fired', async () => {
    const rig = keeper(() => Promise.reject(away()));
    expect(rig.lease.sure).toBe(true);
    const { clock } = rig.ambient;
    const real = clock.monotonicMs.bind(clock);
    clock.monotonicMs = () => real() + 5_001;
    expect([rig.lease.state, rig.lease.sure]).toEqual(['held', false]);
    clock.monotonicMs = real;
    await rig.end();
  });

  test('counts from before the renewal was asked, however slow its answer', async () => {
    let asked = 0;
    const answers: ((held: boolean) => void)[] = [];
    const rig = keeper(() => {
      asked += 1;
      return asked === 1 ? new Promise((resolve) => answers.push(resolve)) : Promise.reject(away());
    });
    // asked at 2,000, answered at 4,500: the lease is good until 8,000, in doubt from 7,000
    await rig.ambient.clock.advanceAsync(4_500);
    answers[0]?.(true);
    await rig.ambient.clock.advanceAsync(2_450);
    expect(rig.calls).toEqual([]);
    await rig.ambient.clock.advanceAsync(100);
    expect(rig.calls).toEqual(['doubt']);
    await rig.end();
  });

  test('is judged by the monotonic clock, whatever the wall clock does', async () => {
    const rig = keeper(async () => true);
    rig.ambient.clock.jumpWall(3_600_000);
    await rig.ambient.clock.advanceAsync(10_000);
    rig.ambient.clock.jumpWall(-7_200_000);
    await rig.ambient.clock.advanceAsync(10_000);
    expect(rig.calls).toEqual([]);
    await rig.end();
  });

  test('that was swept is lost for good, once', async () => {
    const rig = keeper(async () => false);
    await rig.ambient.clock.advanceAsync(30_000);
    expect(rig.calls).toEqual(['lost']);
    expect(rig.lease.state).toBe('lost');
    await rig.end();
  });
});
