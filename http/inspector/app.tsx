// The shell: header, navigation, the open view; the login while nobody is in.

import { useSignal } from '@preact/signals';
import type { ComponentType } from 'preact';
import { useEffect, useErrorBoundary, useRef } from 'preact/hooks';
import { type LiveState, liveState } from './data/live.ts';
import { logOut, session } from './data/session.ts';
import icon from './icon.svg';
import { Login } from './login/login.tsx';
import { href, route } from './router.ts';
import './ui/shell.css';
import { ErrorState, Loading } from './ui/states.tsx';
import { theme, turnTheme } from './ui/theme.ts';
import { VIEWS } from './views/registry.ts';
import type { View, ViewProps } from './views/view.ts';

export function App() {
  return session.value === null ? <Login /> : <Shell />;
}

function Shell() {
  const { view: id } = route.value;
  const view = VIEWS.find((one) => one.id === id);
  const main = useRef<HTMLElement>(null);
  useEffect(() => {
    document.title = `${view?.title ?? 'Not found'} · Troupe`;
  }, [view]);
  return (
    <div class="shell">
      <a
        class="skip"
        href={location.hash}
        onClick={(event) => {
          event.preventDefault();
          main.current?.focus();
        }}
      >
        Skip to content
      </a>
      <header class="shell-head">
        <a class="brand" href={href([])}>
          <img src={icon} alt="" width="18" height="18" />
          Troupe
        </a>
        <Live state={liveState.value} />
        <span class="grow" />
        <Who />
        <button type="button" class="quiet" onClick={turnTheme} title="Light, dark, or as the system">
          <span class="sr">Colours: </span>
          {theme.value}
        </button>
      </header>
      <nav class="shell-nav" aria-label="Views">
        {VIEWS.filter((one) => one.listed).map((one) => (
          <a
            key={one.id}
            href={href([one.id])}
            aria-current={(view?.under ?? view?.id) === one.id ? 'page' : undefined}
          >
            {one.title}
          </a>
        ))}
      </nav>
      <main class="shell-main" ref={main} tabIndex={-1}>
        {view ? <Opened key={view.id} view={view} /> : <NoView id={id} />}
      </main>
    </div>
  );
}

/** Loads a view and shows it; what breaks in it does not take the shell with it. */
function Opened({ view }: { readonly view: View }) {
  const loaded = useSignal<{ readonly Component: ComponentType<ViewProps> } | null>(null);
  const failed = useSignal<unknown>(null);
  const [thrown, retry] = useErrorBoundary((error: unknown) => console.error(error));
  useEffect(() => {
    view.load().then(
      (Component) => {
        loaded.value = { Component };
      },
      (error: unknown) => {
        failed.value = error;
      },
    );
  }, [view, loaded, failed]);
  if (failed.value !== null)
    return (
      <ErrorState title="This view could not be loaded" todo="The server may have been updated: load the page again." />
    );
  if (thrown)
    return (
      <ErrorState
        title="This view broke"
        detail={String(thrown)}
        todo="Try again; if it breaks again, report it."
        retry={retry}
      />
    );
  if (loaded.value === null) return <Loading what={view.title} />;
  const { Component } = loaded.value;
  const { path, query } = route.value;
  return <Component path={path} query={query} />;
}

function NoView({ id }: { readonly id: string }) {
  return <ErrorState title={`There is no view called ${id}`} todo="Choose one from the list of views." />;
}

const LIVE: Readonly<Record<LiveState, string>> = {
  off: 'Off',
  connecting: 'Connecting',
  open: 'Live',
  waiting: 'Connection lost, trying again',
};

function Live({ state }: { readonly state: LiveState }) {
  return (
    <span class={`live live-${state}`} role="status">
      {LIVE[state]}
    </span>
  );
}

function Who() {
  const current = session.value;
  if (!current) return null;
  return (
    <span class="who">
      <span class="who-name">
        {current.subject} · {current.role}
        {current.tenant === 'default' ? '' : ` · ${current.tenant}`}
      </span>
      <button type="button" class="quiet" onClick={() => logOut()}>
        Log out
      </button>
    </span>
  );
}
