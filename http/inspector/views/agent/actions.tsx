// What may be done to an agent, for those who may: pause, resume, restart, stop. The others see why not.

import type { AgentView } from '../../../../runtime/contracts/agent.ts';
import { api } from '../../data/client.ts';
import { mayAdminister, mayWork } from '../../data/session.ts';
import { Action } from '../../ui/dialog.tsx';

interface AgentActionsProps {
  readonly agent: AgentView;
  readonly onDone: () => void;
}

export function AgentActions({ agent, onDone }: AgentActionsProps) {
  const path = `/api/agents/${encodeURIComponent(agent.id)}`;
  const then = async (doing: Promise<unknown>): Promise<void> => {
    await doing;
    onDone();
  };
  const works = mayWork.value;
  const over = agent.state === 'terminated';
  const needsWork = works ? undefined : 'Needs an operator or an admin';
  return (
    <span class="row">
      {agent.state === 'paused' ? (
        <Action
          label="Resume"
          disabled={!works}
          title={needsWork}
          act={() => then(api.send('POST', `${path}/resume`, {}))}
        />
      ) : (
        <Action
          label="Pause"
          disabled={!works || over}
          title={needsWork ?? 'Takes no new tasks after the running one'}
          act={() => then(api.send('POST', `${path}/pause`, {}))}
        />
      )}
      <Action
        label="Stop"
        danger
        disabled={!mayAdminister.value || over}
        title={mayAdminister.value ? 'Finishes its task and its mail, then ends' : 'Needs an admin'}
        confirm={
          <p>
            {agent.name} finishes what it runs and the mail it has, then ends for good. Its queued tasks go to others
            that can do them.
          </p>
        }
        act={() => then(api.send('DELETE', path, undefined, { mode: 'drain' }))}
      />
    </span>
  );
}
