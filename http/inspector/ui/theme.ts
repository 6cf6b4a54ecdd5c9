// Light, dark, or as the system says. Kept in this browser.

import { signal } from '@preact/signals';

export type Theme = 'auto' | 'light' | 'dark';
const KEY = 'troupe.theme';
const ORDER: readonly Theme[] = ['auto', 'light', 'dark'];

export const theme = signal<Theme>('auto');

export function restoreTheme(): void {
  const stored = localStorage.getItem(KEY);
  setTheme(ORDER.find((one) => one === stored) ?? 'auto');
}

/** The next of auto, light, dark. */
export function turnTheme(): void {
  setTheme(ORDER[(ORDER.indexOf(theme.value) + 1) % ORDER.length] ?? 'auto');
}

function setTheme(next: Theme): void {
  theme.value = next;
  if (next === 'auto') {
    localStorage.removeItem(KEY);
    delete document.documentElement.dataset.theme;
  } else {
    localStorage.setItem(KEY, next);
    document.documentElement.dataset.theme = next;
  }
}
