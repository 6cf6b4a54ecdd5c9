// How a process of ours ends (the numbers of sysexits.h), so that parents, service managers and scripts can tell why.

export const EXIT = {
  ok: 0,
  failure: 1,
  /** The command line is wrong. */
  usage: 64,
  /** The port is taken, or no server answers. */
  unavailable: 69,
  /** The parent gave up restarting. */
  gaveUp: 70,
  /** Try again later: the data folder is locked, the database is away. */
  temporary: 75,
  /** A bad option; trying again cannot help. */
  config: 78,
} as const;

/** What each code means and whether the parent process starts the node again after it. */
export const EXIT_CODES = {
  /** Stopped on request. */
  ok: { code: 0, restart: false, meaning: 'stopped on request' },
  /** An exception nobody caught. */
  crashed: { code: 1, restart: true, meaning: 'crashed' },
  /** The command line is wrong (EX_USAGE). */
  usage: { code: 64, restart: false, meaning: 'the command line is wrong' },
  /** The port is taken (EX_UNAVAILABLE). */
  portBusy: { code: 69, restart: false, meaning: 'the port is in use' },
  /** The parent gave up: the node died too often (EX_SOFTWARE). */
  gaveUp: { code: 70, restart: false, meaning: 'the node died too often' },
  /** The data folder is not one of this version of Troupe, or not writable (EX_CANTCREAT). */
  dataFolder: { code: 73, restart: false, meaning: 'the data folder cannot be used' },
  /** The data folder is locked by another process, or the database is away at the start (EX_TEMPFAIL). */
  temporary: {
    code: 75,
    restart: false,
    meaning: 'the data folder is locked or the database is away; try again later',
  },
  /** The configuration is not valid (EX_CONFIG). */
  config: { code: 78, restart: false, meaning: 'the configuration is not valid' },
  /** The root of the supervision tree gave up; ESCALATED_EXIT_CODE of runtime/supervision. */
  escalated: { code: 80, restart: true, meaning: 'a part of the node failed beyond its budget of restarts' },
} as const satisfies Record<string, { code: number; restart: boolean; meaning: string }>;

export type ExitName = keyof typeof EXIT_CODES;

/** The exit code for an error that ends the process at start, by its code; 1 when it is none of the known ones. */
export function exitCodeFor(errorCode: string): number {
  switch (errorCode) {
    case 'config_invalid':
      return EXIT_CODES.config.code;
    case 'EADDRINUSE':
    case 'EACCES':
    case 'EADDRNOTAVAIL':
      return EXIT_CODES.portBusy.code;
    case 'store_foreign':
    case 'schema_version':
      return EXIT_CODES.dataFolder.code;
    case 'store_locked':
    case 'store_unavailable':
      return EXIT_CODES.temporary.code;
    default:
      return EXIT_CODES.crashed.code;
  }
}

/** Whether a node that ended with this code is started again. A code that is in no table is a crash. */
export function restartsAfter(code: number): boolean {
  return Object.values(EXIT_CODES).find((known) => known.code === code)?.restart ?? true;
}

/** What a code means, for people. */
export function meaningOf(code: number): string {
  return Object.values(EXIT_CODES).find((known) => known.code === code)?.meaning ?? 'crashed';
}
