// A process that writes to the embedded database in the folder named by its argument and reports every acknowledged task, until it
// is killed. Run by store-crash.test.ts.

import { openDatabase } from '../../runtime/store/open-store.ts';
import { ambient, newTask, openNode, settling } from '../kit/store.ts';

const [folder = ''] = process.argv.slice(2);
const db = await openDatabase({ dataDir: folder }, ambient);
const store = await openNode(db);
process.stdout.write('ready\n');

const lane = async (queue: string) => {
  for (;;) {
    const task = newTask({ queue });
    const accepted = await store.tasks.submit(task, { claim: true });
    process.stdout.write(`accepted ${task.id}\n`);
    if (accepted.outcome !== 'accepted' || !accepted.claimed) continue;
    await store.tasks.settle(settling(accepted.claimed));
    process.stdout.write(`completed ${task.id}\n`);
  }
};
await Promise.all(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map(lane));
