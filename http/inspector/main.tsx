// The page starts here: theme, session, live connection, shell.

import { render } from 'preact';
import { App } from './app.tsx';
import { keepFigures } from './data/figures.ts';
import { keepLive } from './data/live.ts';
import { restoreSession } from './data/session.ts';
import { followAddress } from './router.ts';
import { restoreTheme } from './ui/theme.ts';

restoreTheme();
restoreSession();
// An address with a token that is opened in a tab with the page in it: before the views look.
addEventListener('hashchange', restoreSession);
followAddress();
keepFigures();
keepLive();
const page = document.getElementById('page');
if (page) render(<App />, page);
