// Makes the parts of a node, group by group. Nothing runs yet: children.ts starts what has a life of its own.

import { createEventFeed } from '../observe/event-stream.ts';
import { composeAgents } from './compose-agents.ts';
import { composeDurable } from './compose-durable.ts';
import { composeInspection } from './compose-inspection.ts';
import { composeMessages } from './compose-messages.ts';
import { composeUpkeep } from './compose-upkeep.ts';
import { composeWork } from './compose-work.ts';
import type { Foundation } from './foundation.ts';
import type { NodeLife, NodeParts } from './parts.ts';

export function composeNode(foundation: Foundation, life: NodeLife): NodeParts {
  const { clock, log } = foundation.ambient;
  const base = { ...foundation, life, feed: createEventFeed({ clock, log }) };
  const others = (): NodeParts => parts;
  const agents = composeAgents(base, others);
  const messages = composeMessages({ ...base, ...agents }, others);
  const durable = composeDurable({ ...base, ...agents }, others);
  const work = composeWork({ ...base, ...agents }, others);
  const upkeep = composeUpkeep({ ...base, ...agents, ...messages, ...durable, ...work });
  const made = { ...base, ...agents, ...messages, ...durable, ...work, ...upkeep };
  const parts: NodeParts = { ...made, ...composeInspection(made) };
  return parts;
}
