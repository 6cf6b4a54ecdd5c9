// The page starts here: theme, session, live connection, shell.

import { render } from 'preact';
import { App } from './app.tsx';
import { keepFigures } from './data/figures.ts';
import { keepLive } from './data/live.ts';
import { restoreSession } from './data/session.ts';
import { restoreTheme } from './ui/theme.ts';

restoreTheme();
restoreSession();
keepFigures();
keepLive();
const page = document.getElementById('page');
if (page) render(<App />, page);
