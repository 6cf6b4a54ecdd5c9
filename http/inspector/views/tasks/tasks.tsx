// Tasks and letters nobody took: lists with filters, one task, one letter, and what may be done to them.

import { Tabs } from '../../ui/tabs.tsx';
import type { ViewProps } from '../view.ts';
import { LetterList } from './letter-list.tsx';
import { OneTask } from './one-task.tsx';
import { TaskList } from './task-list.tsx';
import '../../ui/lists.css';
import './tasks.css';

export function Tasks({ path, query }: ViewProps) {
  const [id] = path;
  if (id !== undefined) return <OneTask key={id} id={id} />;
  return (
    <>
      <div class="view-head">
        <h1>Tasks</h1>
      </div>
      <Tabs
        label="Tasks and dead letters"
        tabs={[
          { id: 'tasks', title: 'Tasks', content: () => <TaskList query={query} /> },
          { id: 'dead', title: 'Dead tasks', content: () => <TaskList query={{ ...query, status: 'dead' }} dead /> },
          { id: 'letters', title: 'Dead letters', content: () => <LetterList query={query} /> },
        ]}
      />
    </>
  );
}
