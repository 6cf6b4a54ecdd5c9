// Loaded into a node with --import: SIGUSR2 ends the thread of its embedded database, as a trap in it would.

import { syncBuiltinESMExports } from 'node:module';
import threads from 'node:worker_threads';

if (threads.isMainThread) {
  const { Worker } = threads;
  threads.Worker = class extends Worker {
    constructor(entry, options) {
      super(entry, options);
      if (options?.name === 'troupe-pglite') process.on('SIGUSR2', () => void this.terminate());
    }
  };
  syncBuiltinESMExports();
}
