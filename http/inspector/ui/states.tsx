// What a place shows while it has nothing to show: loading, empty, failed. The last two say what to do.

import type { ComponentChildren } from 'preact';
import type { ApiError } from '../data/client.ts';
import './states.css';

export function Loading({ what }: { readonly what: string }) {
  return (
    <div class="state" role="status">
      <p class="muted">Loading {what.toLowerCase()} …</p>
    </div>
  );
}

/** Nothing there: what that means, and how something gets there. */
export function Empty({ title, children }: { readonly title: string; readonly children?: ComponentChildren }) {
  return (
    <div class="state">
      <p class="state-title">{title}</p>
      {children ? <div class="muted">{children}</div> : null}
    </div>
  );
}

interface ErrorStateProps {
  readonly title: string;
  readonly detail?: string | undefined;
  readonly todo?: string | undefined;
  readonly retry?: (() => void) | undefined;
}

export function ErrorState({ title, detail, todo, retry }: ErrorStateProps) {
  return (
    <div class="state state-error" role="alert">
      <p class="state-title">{title}</p>
      {detail ? <p>{detail}</p> : null}
      {todo ? <p class="muted">{todo}</p> : null}
      {retry ? (
        <button type="button" onClick={retry}>
          Try again
        </button>
      ) : null}
    </div>
  );
}

/** An error of the API, with what to do about it. */
export function ApiProblem({ error, retry }: { readonly error: ApiError; readonly retry?: () => void }) {
  return (
    <ErrorState
      title={error.message}
      detail={error.traceId === undefined ? error.code : `${error.code}, trace ${error.traceId}`}
      todo={adviceFor(error)}
      retry={retry}
    />
  );
}

function adviceFor({ status, code }: ApiError): string | undefined {
  if (code === 'unreachable') return 'Check that the node runs (troupe status) and that this machine reaches it.';
  if (status === 403) return 'Log in with a token of a role that may: troupe token --role admin.';
  if (status === 404) return 'It may have been removed, or belong to another tenant.';
  if (status === 429) return 'Too many requests: wait a moment, or close other tabs of the inspector.';
  if (status === 503) return 'The node starts, drains or has lost its database: see the dependencies on the overview.';
  return undefined;
}

/** Shown above data that could not be renewed. */
export function Stale({ error }: { readonly error: ApiError | undefined }) {
  if (!error) return null;
  return (
    <p class="stale" role="status">
      Not up to date: {error.message} {adviceFor(error)}
    </p>
  );
}
