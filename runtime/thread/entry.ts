// The file Piscina loads in each thread: the composition root of the thread side. It hands the host its clock, its ports
// and its asynchronous context, and stays pending as long as the thread shall live.

import { AsyncLocalStorage } from 'node:async_hooks';
import { performance } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import type { MessagePort } from 'node:worker_threads';
import { expose } from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';
import type { Death, HostControl, HostInit } from '../transport/control.ts';
import type { DataPort } from '../transport/link.ts';
import { preload } from '../transport/preload.ts';
import { createProfiler } from '../transport/profiler.ts';
import type { Scope } from './cell.ts';
import { Host } from './host.ts';
import type { HostEnv } from './host-env.ts';

/** The host task. Resolves after `end`; a fatal exception ends the thread with that error. */
export async function host(init: HostInit<MessagePort>): Promise<void> {
  const preloaded = await preload((process.env.TROUPE_PRELOAD ?? '').split(',').filter(Boolean));
  const life = new Int32Array(init.life);
  const depths = new Int32Array(init.depths);
  const env = createEnv();
  const { thread, node, graceMs } = init;
  const running = new Host({ thread, node, graceMs, life, depths }, env, init.data as DataPort);
  const onUncaught = (thrown: unknown) => {
    if (running.uncaught(thrown)) return;
    // Nobody's: the thread ends with this very error, which main gets as the end of the host task.
    process.off('uncaughtException', onUncaught);
    process.off('unhandledRejection', onUncaught);
    setImmediate(() => {
      throw thrown;
    });
  };
  process.on('uncaughtException', onUncaught);
  process.on('unhandledRejection', onUncaught);
  const beating = setInterval(() => running.beat(), init.beatMs);
  running.beat();
  await new Promise<void>((resolve) => {
    const control: HostControl = {
      perform: (ops) => running.perform(ops),
      end: () => setImmediate(resolve),
      die: (how) => setImmediate(() => die(how)),
    };
    expose(control, nodeEndpoint(init.control));
  });
  clearInterval(beating);
  running.stop();
  await preloaded.flush();
  init.control.close();
  process.off('uncaughtException', onUncaught);
  process.off('unhandledRejection', onUncaught);
}

function createEnv(): HostEnv {
  const scope = new AsyncLocalStorage<Scope | undefined>();
  let usedBefore = performance.eventLoopUtilization();
  return {
    nowMs: Date.now,
    random: Math.random,
    clock: {
      monotonicMs: () => performance.now(),
      setTimeout: (fn, delayMs) => {
        const timer = setTimeout(fn, delayMs);
        return () => clearTimeout(timer);
      },
    },
    turn: {
      atEnd: (fn) => process.nextTick(fn),
      later: (fn) => void setImmediate(fn),
      nowMs: () => performance.timeOrigin + performance.now(),
    },
    scope: {
      getStore: () => scope.getStore(),
      enterWith: (entered) => scope.enterWith(entered),
      run: (entered, fn) => scope.run(entered, fn),
    },
    load: (specifier) => import(specifier),
    profile: createProfiler(),
    usage: () => {
      const used = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(used, usedBefore);
      usedBefore = used;
      return { heapBytes: getHeapStatistics().used_heap_size, utilization };
    },
  };
}

function die(how: Death): void {
  switch (how) {
    case 'exit':
      process.exit(1);
      break;
    case 'throw':
      throw new Error('thrown on purpose, outside of any agent');
    case 'spin':
      for (;;);
    case 'oom': {
      const kept: object[] = [];
      for (;;) kept.push({ filled: new Array(100).fill(kept.length) });
    }
  }
}
