// A real Chromium on the inspector page of a real node. What the page logs as an error, throws, or tries against its content security
// policy is a fault of the test that opened it.

import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import axe from 'axe-core';
import { type Browser, chromium, type Page } from 'playwright-core';
import type { Role } from '../../http/auth.ts';
import { type RunningNode, startNode } from '../../http/main.ts';
import type { ConfigInput } from '../../runtime/config.ts';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'];
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
const SECRET = 'a secret for tests that is long enough';
const TOKEN_TTL_MS = 3_600_000;
const STEP_LIMIT_MS = 30_000;

/** A node in the test's process that serves the page, with an embedded database in memory and a free port. */
export async function inspectedNode(config: ConfigInput = {}): Promise<RunningNode> {
  if (!existsSync(new URL('../../dist/http/inspector/page/index.html', import.meta.url)))
    throw new Error('the inspector page is not built: npm run build');
  return startNode({
    env: {},
    config: {
      port: 0,
      dataDir: 'memory://',
      jwtSecret: SECRET,
      threads: 3,
      probe: true,
      logLevel: 'silent',
      rateLimit: 0,
      pollMs: 100,
      graceMs: 300,
      drainMs: 0,
      // A machine that is busy with other tests must not look like a node that died.
      leaseMs: 120_000,
      stuckAfterMs: 10_000,
      ...config,
    },
  });
}

/** Chromium from PATH. Throws with the one line that tells how to get it. */
export function openBrowser(): Promise<Browser> {
  const executablePath = (process.env.PATH ?? '')
    .split(delimiter)
    .flatMap((folder) => NAMES.map((name) => join(folder, name)))
    .find((path) => existsSync(path));
  if (executablePath === undefined)
    throw new Error('the page tests need Chromium on PATH: apt-get install -y --no-install-recommends chromium');
  return chromium.launch({ executablePath, args: FLAGS });
}

export interface PageOptions {
  /** Logged in with a token of this role; null shows the login. Default admin. */
  readonly role?: Role | null;
  /** Address inside the page, `#/threads`. */
  readonly at?: string;
  /** Default 1,440 pixels; 390 is a phone. */
  readonly width?: number;
  readonly scheme?: 'light' | 'dark';
}

export interface InspectorPage extends AsyncDisposable {
  readonly page: Page;
  /** What went wrong in it so far: errors on the console, exceptions, breaches of the policy. Empty when all is well. */
  readonly faults: readonly string[];
  /** Goes to another address inside the page. */
  goto(hash: string): Promise<void>;
  /** Serious and critical faults that axe-core finds in what is shown now, one line each. */
  accessibilityFaults(): Promise<readonly string[]>;
  /** Whether something is wider than the window. */
  overflows(): Promise<boolean>;
}

/** A tab of its own with the page of the node in it. `await using` closes it. */
export async function openInspector(
  browser: Browser,
  node: Pick<RunningNode, 'url' | 'token'>,
  options: PageOptions = {},
): Promise<InspectorPage> {
  const { role = 'admin', at = '', width = 1_440, scheme = 'light' } = options;
  const context = await browser.newContext({
    viewport: { width, height: width < 500 ? 844 : 900 },
    colorScheme: scheme,
  });
  context.setDefaultTimeout(STEP_LIMIT_MS);
  const page = await context.newPage();
  const faults: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error') faults.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => faults.push(`thrown: ${error.message}`));
  const token = role === null ? undefined : await node.token(role, TOKEN_TTL_MS);
  await page.goto(`${node.url}/inspect/${token === undefined ? '' : `#token=${token}`}`);
  const goto = async (hash: string): Promise<void> => {
    await page.evaluate(`location.hash = ${JSON.stringify(hash)}`);
  };
  if (at !== '') await goto(at);
  return {
    page,
    faults,
    goto,
    accessibilityFaults: () => runAxe(page),
    overflows: async () => (await page.evaluate('document.documentElement.scrollWidth > innerWidth')) === true,
    [Symbol.asyncDispose]: () => context.close(),
  };
}

interface AxeReport {
  readonly violations: readonly { id: string; impact: string; help: string; nodes: readonly { html: string }[] }[];
}

/** Evaluated over the debugger, which the page's policy does not hold for. */
async function runAxe(page: Page): Promise<readonly string[]> {
  await page.evaluate(axe.source);
  const report = (await page.evaluate('axe.run(document, { resultTypes: ["violations"] })')) as AxeReport;
  return report.violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, help, nodes }) => `${id}: ${help} (${nodes[0]?.html.slice(0, 200)})`);
}
