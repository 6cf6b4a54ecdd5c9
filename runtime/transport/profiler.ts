// A CPU profile of the thread this runs in, main or not, by V8's own profiler.

import { Session } from 'node:inspector/promises';
import { RuntimeError } from '../contracts/errors.ts';

/** Makes one profile after the other; its answer is the JSON text of a `.cpuprofile`. */
export function createProfiler(): (seconds: number, intervalUs: number) => Promise<string> {
  let running = false;
  return async (seconds, intervalUs) => {
    if (running)
      throw new RuntimeError('profile_running', 'a profile of this thread is being made; try again after it');
    running = true;
    const session = new Session();
    try {
      session.connect();
      await session.post('Profiler.enable');
      await session.post('Profiler.setSamplingInterval', { interval: intervalUs });
      await session.post('Profiler.start');
      await new Promise<void>((resolve) => setTimeout(resolve, seconds * 1_000));
      const { profile } = await session.post('Profiler.stop');
      return JSON.stringify(profile);
    } finally {
      session.disconnect();
      running = false;
    }
  };
}
