// The exit codes of a node that cannot go on. http/exit-codes.ts says what the parent process does with them.

export { ESCALATED_EXIT_CODE } from '../supervision/supervision-tree.ts';

/** The exit code of a node whose lease expired and was swept: its work belongs to others. The parent process starts a new incarnation. */
export const LEASE_LOST_EXIT_CODE = 81;
/** The exit code of a node whose embedded database is gone. What was accepted is in its folder; the next incarnation goes on with it. */
export const STORE_GONE_EXIT_CODE = 82;
