// Asks for a token. Nothing of the system is shown or asked for before there is one.

import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { endedBecause, logIn } from '../data/session.ts';
import icon from '../icon.svg';
import './login.css';

export function Login() {
  const refused = useSignal<string | null>(null);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    document.title = 'Log in · Troupe';
    field.current?.focus();
  }, []);
  const submit = (event: Event): void => {
    event.preventDefault();
    const text = field.current?.value.trim() ?? '';
    refused.value = null;
    if (!logIn(text) && endedBecause.value === null)
      refused.value =
        text === ''
          ? 'Paste a token first.'
          : 'This is no token of Troupe: it has three parts, with dots between them.';
  };
  const message = refused.value ?? endedBecause.value;
  return (
    <main class="login">
      <form onSubmit={submit}>
        <h1>
          <img src={icon} alt="" width="22" height="22" /> Troupe inspector
        </h1>
        <label for="token">Token</label>
        <input
          id="token"
          ref={field}
          type="password"
          autocomplete="off"
          spellcheck={false}
          placeholder="eyJhbGciOi…"
          aria-describedby="token-help token-error"
          aria-invalid={message !== null}
        />
        <p id="token-error" class="login-error" role="alert">
          {message}
        </p>
        <button type="submit" class="primary">
          Log in
        </button>
        <div id="token-help" class="login-help">
          <p>On the machine of the server, this prints one:</p>
          <code>npx troupe token --role admin</code>
          <p>
            A <b>viewer</b> may look, an <b>operator</b> also work, an <b>admin</b> also remove and restart. The token
            stays in this tab and is forgotten with it.
          </p>
        </div>
      </form>
    </main>
  );
}
