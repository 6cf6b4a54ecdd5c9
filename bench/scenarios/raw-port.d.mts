export function joined(): Promise<{
  run(order: {
    readonly type: 'tell' | 'ask' | 'askBatched';
    readonly times: number;
    readonly batch?: number;
    readonly inFlight?: number;
  }): Promise<{ readonly count: number; readonly sum: number; readonly ms: number; readonly p50Ms: number }>;
  close(): Promise<void>;
}>;
