import { describe, expect, test } from 'vitest';
import { createInProcessBus } from '../../runtime/bus/in-process-bus.ts';
import type { RuntimeEvent } from '../../runtime/contracts/event.ts';
import type { TaskView } from '../../runtime/contracts/task.ts';
import { createEventFeed } from '../../runtime/observe/event-stream.ts';
import { TaskWaits } from '../../runtime/tasks/task-waits.ts';
import { testAmbient } from '../kit/ambient.ts';
import { turns } from '../kit/task-rig.ts';

function rig() {
  const ambient = testAmbient();
  const feed = createEventFeed(ambient);
  const bus = createInProcessBus({ log: ambient.log });
  const waits = new TaskWaits({ feed, bus, ambient, pollMs: 1_000 });
  const view = (status: TaskView['status']) => ({ id: 'tsk_1', status }) as TaskView;
  const ended: RuntimeEvent = { stream: 'tsk_1', seq: 2, type: 'task.completed', tenant: 'default', at: '', data: {} };
  return { ambient, feed, bus, waits, view, ended };
}

describe('waiting for a task', () => {
  test('an end that comes after the row was read and before its answer arrives is not missed', async () => {
    const { feed, waits, view, ended } = rig();
    let reads = 0;
    const read = async () => {
      reads += 1;
      if (reads > 1) return view('completed');
      feed.publish([ended]);
      return view('running');
    };
    expect(await waits.wait('tsk_1', read, { timeoutMs: 60_000 })).toMatchObject({ status: 'completed' });
    expect(reads).toBe(2);
    waits.close();
  });

  test('a hint from another node wakes it', async () => {
    const { bus, waits, view } = rig();
    let status: TaskView['status'] = 'running';
    const waiting = waits.wait('tsk_1', async () => view(status), { timeoutMs: 60_000 });
    await turns();
    status = 'failed';
    bus.publish({ type: 'task-ended', taskId: 'tsk_1' });
    expect(await waiting).toMatchObject({ status: 'failed' });
    waits.close();
  });

  test('thousands of callers cost a bounded number of reads per poll, and each is served in turn', async () => {
    const { ambient, waits, view } = rig();
    let reads = 0;
    let status: TaskView['status'] = 'running';
    const waiting = Array.from({ length: 1_000 }, (_, n) =>
      waits.wait(
        `tsk_${n}`,
        async () => {
          reads += 1;
          return view(status);
        },
        { timeoutMs: 600_000 },
      ),
    );
    await turns();
    reads = 0;
    await ambient.clock.advanceAsync(1_000);
    await turns();
    expect(reads).toBe(25);
    status = 'completed';
    for (let poll = 0; poll < 45; poll++) {
      await ambient.clock.advanceAsync(1_000);
      await turns(3);
    }
    expect(await Promise.all(waiting)).toHaveLength(1_000);
    expect(ambient.clock.pending).toBe(0);
    waits.close();
  });
});
