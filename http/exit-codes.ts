// How a process of ours ends (numbers of sysexits.h where one fits), so that parents, service managers and scripts can tell why.

export const EXIT = {
  ok: 0,
  /** An exception nobody caught, or a request that failed. */
  failure: 1,
  /** The command line is wrong (EX_USAGE). */
  usage: 64,
  /** The port is taken, or no server answers (EX_UNAVAILABLE). */
  unavailable: 69,
  /** The parent gave up restarting (EX_SOFTWARE). */
  gaveUp: 70,
  /** Try again later: the data folder is locked, the database is away (EX_TEMPFAIL). */
  temporary: 75,
  /** A bad option or a data folder that is not ours; trying again cannot help (EX_CONFIG). */
  config: 78,
  /** The root of the supervision tree gave up; ESCALATED_EXIT_CODE of the runtime. */
  escalated: 80,
  /** The lease of the node expired and its work was given to others; LEASE_LOST_EXIT_CODE of the runtime. */
  leaseLost: 81,
  /** The embedded database is gone; STORE_GONE_EXIT_CODE of the runtime. */
  storeGone: 82,
} as const;

/** Endings that a restart cannot mend, in words for people. Every other code is a crash. */
const FINAL: Readonly<Record<number, string>> = {
  [EXIT.ok]: 'stopped on request',
  [EXIT.usage]: 'the command line is wrong',
  [EXIT.unavailable]: 'the port is in use',
  [EXIT.gaveUp]: 'the node died too often',
  [EXIT.temporary]: 'the data folder is locked or the database is away; try again later',
  [EXIT.config]: 'the configuration is not valid or the data folder cannot be used',
};

const RESTARTED: Readonly<Record<number, string>> = {
  [EXIT.escalated]: 'a part of the node failed beyond its budget of restarts',
  [EXIT.leaseLost]: 'its lease expired and its work was given to others',
  [EXIT.storeGone]: 'its embedded database is gone',
};

/** Whether a node that ended with this code is started again. */
export function restartsAfter(code: number): boolean {
  return !(code in FINAL);
}

/** What a code means, for people. */
export function meaningOf(code: number): string {
  return FINAL[code] ?? RESTARTED[code] ?? 'crashed';
}
