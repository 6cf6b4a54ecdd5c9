import { dbosWorkflows, langGraphWorkflows, type WorkflowLoad } from '../peers/durable-workflows.ts';
import type { Scenario } from '../scenario.ts';
import { troupeWorkflows } from '../troupe-workflows.ts';

const LOAD: WorkflowLoad = { workflows: 1_000, callers: 64 };

export const scenario: Scenario = {
  name: 'workflows',
  about: `workflows of three steps, run by ${LOAD.callers} callers that wait for each result, on PostgreSQL; workflows a second`,
  subjects: [troupeWorkflows(LOAD), dbosWorkflows(LOAD), langGraphWorkflows(LOAD)],
  floors: { dbos: 3, langgraph: 3 },
};
