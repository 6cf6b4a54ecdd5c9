// What the process of this node uses.

export function processFigures(uptimeMs: number) {
  const memory = process.memoryUsage();
  const cpu = process.cpuUsage();
  return {
    uptimeMs,
    rssBytes: memory.rss,
    heapUsedBytes: memory.heapUsed,
    externalBytes: memory.external,
    cpuUserMs: cpu.user / 1_000,
    cpuSystemMs: cpu.system / 1_000,
    eventLoopUtilization: performance.eventLoopUtilization().utilization,
  };
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
