// What may be done to a run, for those who may: start, pause, resume, cancel, fork.

import { useSignal } from '@preact/signals';
import type { WorkflowView } from '../../../../runtime/contracts/workflow.ts';
import { api } from '../../data/client.ts';
import { mayWork } from '../../data/session.ts';
import { navigate } from '../../router.ts';
import { Action } from '../../ui/dialog.tsx';
import { hasEnded, runPath } from './run-data.ts';

export function RunActions({ run, refresh }: { readonly run: WorkflowView; readonly refresh: () => Promise<void> }) {
  if (!mayWork.value) return null;
  const { id, status } = run;
  const post = (verb: string) => async (): Promise<void> => {
    await api.send('POST', `${runPath(id)}/${verb}`, {});
    await refresh();
  };
  return (
    <span class="row">
      {status === 'created' ? <Action label="Start" act={post('start')} confirm={<p>The run begins now.</p>} /> : null}
      {status === 'running' ? (
        <Action
          label="Pause"
          act={post('pause')}
          confirm={<p>Nothing new starts, here and in the runs below; what is in flight goes on.</p>}
        />
      ) : null}
      {status === 'paused' ? <Action label="Resume" act={post('resume')} confirm={<p>The run goes on.</p>} /> : null}
      {hasEnded(run) ? null : (
        <Action
          label="Cancel run"
          danger
          act={post('cancel')}
          confirm={
            <p>
              Every step in flight and every run below is stopped. What was done stays done; this cannot be taken back.
            </p>
          }
        />
      )}
      {status === 'created' ? null : <ForkAction run={run} />}
    </span>
  );
}

/** Without a step: what had not completed is done. */
export function ForkAction({ run: { id, name }, step }: { readonly run: WorkflowView; readonly step?: string }) {
  const title = useSignal(`${name} (again)`.slice(0, 200));
  const fork = async (): Promise<void> => {
    const body = { name: title.value, ...(step === undefined ? {} : { fromStep: step }) };
    const made = await api.send<WorkflowView>('POST', `${runPath(id)}/fork`, body);
    navigate(['workflows', made.id]);
  };
  return (
    <Action
      label={step === undefined ? 'Fork' : 'Fork from here'}
      act={fork}
      confirm={
        <div class="form">
          <p>
            A new run of the same definition takes over the outcomes of this one and does{' '}
            {step === undefined ? 'what had not completed' : `${step} and everything that depends on it`} anew. It
            starts at once.
          </p>
          <label>
            Name of the new run
            <input value={title.value} maxLength={200} onInput={(event) => (title.value = event.currentTarget.value)} />
          </label>
        </div>
      }
    />
  );
}
