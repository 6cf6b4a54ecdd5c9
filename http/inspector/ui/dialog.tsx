// A question that must be answered before something is done, and the button that asks it. Says what the server answered when it refuses.

import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import './dialog.css';

interface DialogProps {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}

/** Open as long as it is mounted; Escape and a click beside it close it. */
export function Dialog({ title, onClose, children }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => element.current?.showModal(), []);
  const onClick = (event: MouseEvent): void => {
    if (event.target === element.current) onClose();
  };
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape closes a dialog by itself
    <dialog ref={element} class="dialog" aria-labelledby={id} onClose={onClose} onClick={onClick}>
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  );
}

interface ActionProps {
  /** On the button: a verb. */
  readonly label: string;
  /** Asked first when given: what will happen. */
  readonly confirm?: ComponentChildren;
  readonly danger?: boolean;
  readonly disabled?: boolean;
  /** Why it is disabled, or more about it. */
  readonly title?: string | undefined;
  /** Rejects with what the server said. */
  readonly act: () => Promise<unknown>;
}

/** A button that does something on the server, after a question where one is needed, and shows why it failed. */
export function Action({ label, confirm, danger = false, disabled = false, title, act }: ActionProps) {
  const asking = useSignal(false);
  const busy = useSignal(false);
  const failed = useSignal<string | null>(null);
  const run = async (): Promise<void> => {
    busy.value = true;
    failed.value = null;
    try {
      await act();
      asking.value = false;
    } catch (error) {
      failed.value = error instanceof Error ? error.message : String(error);
      asking.value = true;
    } finally {
      busy.value = false;
    }
  };
  const ask = (): void => {
    asking.value = true;
  };
  const close = (): void => {
    asking.value = false;
    failed.value = null;
  };
  const style = danger ? 'danger' : '';
  return (
    <>
      <button
        type="button"
        class={style}
        title={title}
        disabled={disabled || busy.value}
        onClick={() => (confirm === undefined ? void run() : ask())}
      >
        {label}
      </button>
      {asking.value ? (
        <Dialog title={`${label}?`} onClose={close}>
          {confirm ? <div class="dialog-body">{confirm}</div> : null}
          {failed.value === null ? null : (
            <p class="dialog-error" role="alert">
              {failed.value}
            </p>
          )}
          <div class="dialog-buttons">
            <button type="button" onClick={close}>
              {failed.value === null ? 'Leave it' : 'Close'}
            </button>
            <button
              type="button"
              class={danger ? 'danger' : 'primary'}
              disabled={busy.value}
              onClick={() => void run()}
            >
              {failed.value === null ? label : 'Try again'}
            </button>
          </div>
        </Dialog>
      ) : null}
    </>
  );
}
