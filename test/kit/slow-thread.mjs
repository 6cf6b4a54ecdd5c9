// Loaded first in a node and its threads: a machine on which threads take long to start.

import { setTimeout as sleep } from 'node:timers/promises';
import { isMainThread } from 'node:worker_threads';

if (!isMainThread) await sleep(2_500);
