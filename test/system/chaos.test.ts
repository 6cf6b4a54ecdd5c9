// kill -9 of nodes under load, and the books afterwards. Short here; TROUPE_CHAOS_KILLS=40 (npm run chaos) is the long version.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { seededRandom } from '../kit/ambient.ts';
import { type ChaosReport, runChaos } from '../kit/chaos.ts';
import { startNode } from '../kit/node-process.ts';
import { freshDatabase } from '../kit/services.ts';

const kills = Number(process.env.TROUPE_CHAOS_KILLS ?? 2);
const AGENTS_PER_NODE = 4;
const LIMIT_MS = 120_000 + kills * 20_000;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'troupe-chaos-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function expectCleanBooks(report: ChaosReport, places: number): void {
  console.log(JSON.stringify({ ...report, missing: report.missing.length, notEnded: report.notEnded.length }));
  expect(report.acceptedTasks).toBeGreaterThan(kills);
  expect(report.acceptedWorkflows).toBeGreaterThan(0);
  expect(report.missing).toEqual([]);
  expect(report.notEnded).toEqual([]);
  expect(report.twoOutcomes).toEqual([]);
  expect(report.badWorkflows).toEqual([]);
  expect(report.repeatedAfterCommit).toEqual([]);
  expect(report.neverRan).toEqual([]);
  // A kill can only repeat what was in a handler at that moment.
  expect(report.extraStarts).toBeLessThanOrEqual(kills * AGENTS_PER_NODE * places);
}

/** A task whose node is killed three times would be dead as poison, as it should; here no kill is its fault. */
const PATIENT = { TROUPE_POISON_AFTER: '100' };
const CLUSTER = { ...PATIENT, TROUPE_LEASE_MS: '2000', TROUPE_POLL_MS: '200' };

describe('a node killed with SIGKILL under load', () => {
  test.each([
    ['on the embedded database', { postgres: false, places: 1, seed: 1 }],
    ['on PostgreSQL', { postgres: true, places: 1, seed: 2 }],
    ['with two nodes on one PostgreSQL', { postgres: true, places: 2, seed: 3 }],
  ])('loses nothing %s', { timeout: LIMIT_MS }, async (_name, { postgres, places, seed }) => {
    const database = postgres ? { databaseUrl: await freshDatabase(), env: CLUSTER } : { env: PATIENT };
    const report = await runChaos({
      start: (place) => startNode({ dataDir: join(folder, `node-${place}`), ...database }),
      places,
      kills,
      ledgerFile: join(folder, 'ledger.jsonl'),
      random: seededRandom(seed),
      log: console.log,
    });
    expectCleanBooks(report, places);
  });
});
