// What a benchmark is: subjects that do the same counted work, of which one is ours and the others are its limit and its peers.

/** Work that was confirmed by who received it: a count that was checked, never a count of what was sent. */
export interface Confirmed {
  readonly count: number;
  readonly ms: number;
}

export interface PreparedSubject {
  /** One measured round. Throws when the work is not confirmed whole. */
  once(): Promise<Confirmed>;
  close(): Promise<void>;
}

export interface Subject {
  readonly name: string;
  readonly role: 'ours' | 'limit' | 'peer';
  prepare(): Promise<PreparedSubject>;
}

export interface Scenario {
  readonly name: string;
  /** One line: what is counted, in which unit. */
  readonly about: string;
  readonly subjects: readonly Subject[];
  /** What count per second is, when it is no rate. Default `/s`. Then no ratios are drawn. */
  readonly unit?: string;
  /** Floors of `ours / subject`, by subject name; the gate fails below them. */
  readonly floors?: Readonly<Record<string, number>>;
}
