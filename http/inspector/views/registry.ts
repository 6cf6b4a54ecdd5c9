// The views: one folder each, loaded when it is first opened. A row here is all the shell knows of a view.

import type { View } from './view.ts';

export const VIEWS: readonly View[] = [
  { id: 'home', title: 'Overview', listed: true, load: async () => (await import('./home/home.tsx')).Home },
  { id: 'tree', title: 'Supervision', listed: true, load: async () => (await import('./tree/tree.tsx')).Tree },
  { id: 'agents', title: 'Agents', listed: true, load: async () => (await import('./agent/agents.tsx')).Agents },
  {
    id: 'threads',
    title: 'Threads and nodes',
    listed: true,
    load: async () => (await import('./threads/threads.tsx')).Threads,
  },
  {
    id: 'workflows',
    title: 'Workflows',
    listed: true,
    load: async () => (await import('./workflows/workflows.tsx')).Workflows,
  },
];
