export interface RawStream {
  /** Sends `times` messages, `batch` in one entry; ends when the reader has counted and acknowledged them all. */
  send(times: number, batch: number): Promise<{ readonly count: number; readonly ms: number }>;
  /** Latencies in milliseconds of single messages there and back, one at a time. */
  ping(times: number): Promise<number[]>;
  close(): Promise<void>;
}
export function streams(url: string): Promise<RawStream>;
