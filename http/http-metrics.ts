// What the edge counts of its requests: by route, never by path.

import { Counter, Histogram, Registry } from 'prom-client';

const SECONDS = [0.005, 0.025, 0.1, 0.5, 1, 5, 30];

export interface HttpMetrics {
  /** `route`: as the access table names it; undefined: it was refused before its route was known. */
  answered(method: string, route: string | undefined, status: number, tookMs: number): void;
  /** Prometheus text exposition. */
  text(): Promise<string>;
}

export function createHttpMetrics(): HttpMetrics {
  const registers = [new Registry()];
  const requests = new Counter({
    name: 'troupe_http_requests_total',
    help: 'Requests that this node answered.',
    labelNames: ['method', 'route', 'status'],
    registers,
  });
  const duration = new Histogram({
    name: 'troupe_http_request_duration_seconds',
    help: 'From a request to the begin of its answer.',
    labelNames: ['route'],
    buckets: SECONDS,
    registers,
  });
  return {
    answered(method, route = 'refused', status, tookMs) {
      const path = route.slice(route.indexOf(' ') + 1);
      requests.inc({ method, route: path, status: String(status) });
      duration.observe({ route: path }, tookMs / 1_000);
    },
    text: () => registers[0]?.metrics() ?? Promise.resolve(''),
  };
}
