import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

/** Most system tests wait more than they work, so that two run side by side even on one core; more than four are one server's limit. */
const WORKERS = Math.min(4, Math.max(2, availableParallelism() - 1));
/** Tests that need the machine for themselves: servers, nodes and threads that are killed under load until the books are compared. */
const FAULTS = ['test/system/{chaos*,*-dies,threads-deaths,zombies}.test.ts'];

const onServers = {
  globalSetup: ['test/kit/services.ts'],
  pool: 'forks' as const,
  testTimeout: 120_000,
  hookTimeout: 120_000,
};

export default defineConfig({
  test: {
    reporters: ['default'],
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/system/**', 'test/conformance/**', 'test/browser/**'],
          pool: 'forks',
          maxWorkers: WORKERS,
          testTimeout: 30_000,
        },
      },
      {
        test: {
          ...onServers,
          name: 'system',
          include: ['test/system/**/*.test.ts', 'test/conformance/**/*.test.ts'],
          exclude: FAULTS,
          maxWorkers: WORKERS,
        },
      },
      // Chromium on the page of a node that lives in the test's process.
      {
        test: {
          name: 'browser',
          include: ['test/browser/**/*.test.ts'],
          pool: 'forks',
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      { test: { ...onServers, name: 'faults', include: FAULTS, fileParallelism: false } },
    ],
  },
});
