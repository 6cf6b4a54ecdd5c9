// How a process of ours ends (the numbers of sysexits.h), so that parents, service managers and scripts can tell why.

export const EXIT = {
  ok: 0,
  failure: 1,
  /** The port is taken, or no server answers. */
  unavailable: 69,
  /** The parent gave up restarting. */
  gaveUp: 70,
  /** Try again later: the data folder is locked, the database is away. */
  temporary: 75,
  /** A bad option; trying again cannot help. */
  config: 78,
} as const;
