// The views: one folder each, loaded when it is first opened. A row here is all the shell knows of a view.

import type { View } from './view.ts';

export const VIEWS: readonly View[] = [
  { id: 'home', title: 'Overview', listed: true, load: async () => (await import('./home/home.tsx')).Home },
  { id: 'tree', title: 'Supervision', listed: true, load: async () => (await import('./tree/tree.tsx')).Tree },
  { id: 'agents', title: 'Agents', listed: true, load: async () => (await import('./agent/agents.tsx')).Agents },
  {
    id: 'workflows',
    title: 'Workflows',
    listed: true,
    load: async () => (await import('./workflows/workflows.tsx')).Workflows,
  },
  { id: 'tasks', title: 'Tasks', listed: true, load: async () => (await import('./tasks/tasks.tsx')).Tasks },
  {
    id: 'messages',
    title: 'Messages',
    listed: true,
    load: async () => (await import('./messages/messages.tsx')).Messages,
  },
  {
    id: 'threads',
    title: 'Threads and nodes',
    listed: true,
    load: async () => (await import('./threads/threads.tsx')).Threads,
  },
  { id: 'history', title: 'History', listed: true, load: async () => (await import('./history/history.tsx')).History },
];
