// Bodies of workflows, as users write them, for tests: fixed examples and a seeded generator of graphs.

import type { CreateWorkflow } from '../../runtime/contracts/workflow.ts';
import { seededRandom } from './coordination-simulator.ts';

type Task = NonNullable<CreateWorkflow['tasks']>[number];

/** A step with nothing but an id and what it waits for. */
export const step = (id: string, dependsOn: readonly string[] = [], more: Partial<Task> = {}): Task => ({
  id,
  capability: 'probe.run',
  dependsOn: [...dependsOn],
  ...more,
});

/** Research, analysis, report: each sees what the one before it found. */
export const researchReport: CreateWorkflow = {
  name: 'research report',
  pattern: 'sequential',
  tasks: [
    step('research', [], { capability: 'document.search', input: { query: 'actors' } }),
    step('analysis', ['research'], { capability: 'data.analyse', input: { found: { $from: 'research.documents' } } }),
    step('report', ['analysis'], {
      capability: 'report.write',
      input: { facts: { $from: 'analysis' }, sources: { $from: 'research.documents' } },
    }),
  ],
};

/** `count` steps that need nothing of each other. */
export const fanOut = (count: number, more: Partial<CreateWorkflow> = {}): CreateWorkflow => ({
  name: `fan out ${count}`,
  pattern: 'parallel',
  tasks: Array.from({ length: count }, (_, index) => step(`t${index}`)),
  options: { maxConcurrency: count },
  ...more,
});

/** `count` steps in one chain. */
export const chain = (count: number, more: Partial<CreateWorkflow> = {}): CreateWorkflow => ({
  name: `chain of ${count}`,
  pattern: 'sequential',
  tasks: Array.from({ length: count }, (_, index) => step(`t${index}`, index === 0 ? [] : [`t${index - 1}`])),
  ...more,
});

/** a, then b and c, then d. */
export const diamond: CreateWorkflow = {
  name: 'diamond',
  pattern: 'parallel',
  tasks: [step('a'), step('b', ['a']), step('c', ['a']), step('d', ['b', 'c'])],
};

/** Booking with undo: what was booked is given back, last first, when the payment fails. */
export const booking: CreateWorkflow = {
  name: 'booking',
  pattern: 'sequential',
  onFailure: 'compensate',
  tasks: [
    step('flight', [], { compensate: { capability: 'flight.cancel', input: { booking: { $from: 'flight.id' } } } }),
    step('hotel', ['flight'], {
      compensate: { capability: 'hotel.cancel', input: { booking: { $from: 'hotel.id' } } },
    }),
    step('insurance', ['hotel']),
    step('payment', ['insurance']),
  ],
};

/** A graph without cycles, its tasks in random order of declaration. */
export function randomGraph(count: number, seed: number, density = 2): Task[] {
  const random = seededRandom(seed);
  const tasks = Array.from({ length: count }, (_, index) => {
    const names = new Set<string>();
    for (let edge = 0; index > 0 && edge < random() * density * 2 - 0.5; edge++)
      names.add(`n${Math.floor(random() * index)}`);
    return step(`n${index}`, [...names]);
  });
  for (let at = tasks.length - 1; at > 0; at--) {
    const other = Math.floor(random() * (at + 1));
    const [left, right] = [tasks[at], tasks[other]];
    if (left && right) [tasks[at], tasks[other]] = [right, left];
  }
  return tasks;
}

/** A graph in which steps have conditions, elements, loops, undos and references, chosen by the seed. */
export function richGraph(seed: number): Task[] {
  const random = seededRandom(seed * 7919 + 13);
  const chance = (probability: number): boolean => random() < probability;
  return randomGraph(1 + Math.floor(random() * 8), seed).map((task) => {
    const [first] = task.dependsOn ?? [];
    const special = random();
    return {
      ...task,
      ...(first && chance(0.5) ? { input: { before: { $from: first }, all: { $from: 'deps' } } } : {}),
      ...(first && chance(0.2) ? { when: { path: `${first}.round`, exists: chance(0.7) } } : {}),
      ...(first && special < 0.2
        ? { forEach: `${first}.list`, input: { element: { $item: '' }, at: { $index: true } } }
        : {}),
      ...(special > 0.8
        ? { loop: { until: { path: `${task.id}.round`, greaterThan: Math.floor(random() * 3) - 1 }, maxRounds: 3 } }
        : {}),
      ...(chance(0.3) ? { compensate: { capability: 'probe.run', input: { undo: { $from: task.id } } } } : {}),
    };
  });
}
