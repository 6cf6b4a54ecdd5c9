// The process above the node: starts it, forwards signals, starts it again when it dies, gives up when it dies too often.
// A thread's heap exhaustion can abort the whole node process, so the unit of failure above the tree is the process.

import { type ChildProcess, fork } from 'node:child_process';
import { EXIT, meaningOf, restartsAfter } from './exit-codes.ts';

/** Set in the environment of a node that has a parent, to the parent's process id. */
export const PARENT_MARK = 'TROUPE_UNDER_PARENT';

/** Signals that are passed on, and as what: a node drains on SIGTERM and SIGINT only. */
const FORWARDED = { SIGTERM: 'SIGTERM', SIGINT: 'SIGINT', SIGHUP: 'SIGTERM' } as const;
type Forwarded = keyof typeof FORWARDED;

export interface ParentOptions {
  /** The module to run and its arguments; `process.argv.slice(1)` is this very command. */
  readonly args: readonly string[];
  /** Default the environment of this process. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Restarts within `withinMs` before it gives up; default 5. */
  readonly maxRestarts?: number;
  /** Default 60,000 ms. */
  readonly withinMs?: number;
  /** Wait before the first restart, doubled for each in a row; default 100 ms. */
  readonly minBackoffMs?: number;
  /** Default 5,000 ms. */
  readonly maxBackoffMs?: number;
  /** Flags of Node for the child; default those of this process. */
  readonly execArgv?: readonly string[];
  /** Where the parent's own lines go; default stderr. */
  readonly onLine?: (line: string) => void;
}

/**
 * Runs a node under a parent and resolves with the exit code for the parent itself: the node's own when it is not to be
 * started again, 70 when it died more than `maxRestarts` times within `withinMs`.
 *
 * SIGTERM, SIGINT and SIGHUP are passed on; a second one ends the node at once. When the parent is killed, kill -9
 * included, the node ends too: parent-link.ts, loaded into it, sees the channel close.
 */
export async function runUnderParent(options: ParentOptions): Promise<number> {
  return await new Parent(options).run();
}

/** Found beside this file, in the sources as in the build. */
const PARENT_LINK = new URL(`./parent-link.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url).href;

interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

class Parent {
  readonly #options: Required<ParentOptions>;
  #child: ChildProcess | undefined;
  /** The first signal that was passed on: from then on nothing is started any more. */
  #stopping: Forwarded | undefined;
  #wake: () => void = () => {};
  #restartsAtMs: number[] = [];

  constructor(options: ParentOptions) {
    this.#options = {
      env: process.env,
      maxRestarts: 5,
      withinMs: 60_000,
      minBackoffMs: 100,
      maxBackoffMs: 5_000,
      execArgv: process.execArgv,
      onLine: (line) => process.stderr.write(`${line}\n`),
      ...options,
    };
  }

  async run(): Promise<number> {
    const signals = Object.keys(FORWARDED) as Forwarded[];
    const onSignal = (signal: NodeJS.Signals) => this.#signalled(signal as Forwarded);
    for (const signal of signals) process.on(signal, onSignal);
    try {
      return await this.#runUntilOver();
    } finally {
      for (const signal of signals) process.off(signal, onSignal);
    }
  }

  async #runUntilOver(): Promise<number> {
    for (;;) {
      const startedAtMs = performance.now();
      const ending = await this.#runOnce();
      const code = exitCode(ending);
      if (this.#stopping !== undefined) return code;
      if (!restartsAfter(code)) {
        if (code !== EXIT.ok) this.#say(`the node ended with code ${code} (${meaningOf(code)}); it is not restarted`);
        return code;
      }
      const delayMs = this.#charge(startedAtMs);
      if (delayMs === undefined) return this.#giveUp(ending);
      this.#say(`the node ${describe(ending)}; restart ${this.#restartsAtMs.length} in ${delayMs} ms`);
      await this.#sleep(delayMs);
      if (this.#stopping !== undefined) return EXIT.ok;
    }
  }

  #runOnce(): Promise<Ending> {
    const { args, env, execArgv } = this.#options;
    const [modulePath = '', ...rest] = args;
    return new Promise((resolve) => {
      const child = fork(modulePath, rest, {
        env: { ...env, [PARENT_MARK]: String(process.pid) },
        execArgv: [...execArgv, '--import', PARENT_LINK],
        stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
        // A group of its own: Ctrl-C in a terminal goes to the whole group, and with the one passed on the node would
        // count two and drop its drain.
        detached: true,
      });
      this.#child = child;
      const ended = (ending: Ending) => {
        this.#child = undefined;
        resolve(ending);
      };
      child.once('exit', (code, signal) => ended({ code, signal }));
      child.once('error', (error) => {
        this.#say(`the node cannot be started: ${error.message}`);
        if (child.pid === undefined) ended({ code: EXIT.failure, signal: null });
      });
    });
  }

  /** The wait before the next start, or undefined when the budget is gone (as restart intensity in the tree). */
  #charge(startedAtMs: number): number | undefined {
    const { maxRestarts, withinMs, minBackoffMs, maxBackoffMs } = this.#options;
    const nowMs = performance.now();
    // A node that lived longer than the window has shown that it can: its next restart is quick again.
    if (nowMs - startedAtMs > withinMs) this.#restartsAtMs = [];
    this.#restartsAtMs = [...this.#restartsAtMs.filter((at) => at >= nowMs - withinMs), nowMs];
    if (this.#restartsAtMs.length > maxRestarts) return undefined;
    return Math.min(maxBackoffMs, minBackoffMs * 2 ** (this.#restartsAtMs.length - 1));
  }

  #giveUp(ending: Ending): number {
    const { maxRestarts, withinMs } = this.#options;
    this.#say(
      `the node ${describe(ending)}; gave up after ${maxRestarts} restarts within ${withinMs / 1_000} s (code ${EXIT.gaveUp})`,
    );
    return EXIT.gaveUp;
  }

  #signalled(signal: Forwarded): void {
    const again = this.#stopping !== undefined;
    this.#stopping ??= signal;
    this.#wake();
    // The node drains on the first; whoever asks twice wants it gone.
    this.#child?.kill(again ? 'SIGKILL' : FORWARDED[signal]);
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #say(line: string): void {
    this.#options.onLine(`troupe: ${line}`);
  }
}

/** The code of a process that a signal ended is 128 plus the signal's number, as shells have it. */
function exitCode({ code, signal }: Ending): number {
  if (code !== null) return code;
  const numbers: Readonly<Partial<Record<NodeJS.Signals, number>>> = {
    SIGHUP: 1,
    SIGINT: 2,
    SIGABRT: 6,
    SIGKILL: 9,
    SIGSEGV: 11,
    SIGTERM: 15,
  };
  return 128 + ((signal === null ? undefined : numbers[signal]) ?? 0);
}

function describe({ code, signal }: Ending): string {
  if (signal !== null) return `was ended by ${signal}`;
  return `died with code ${code}`;
}
