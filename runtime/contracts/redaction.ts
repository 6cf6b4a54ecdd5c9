// Takes out of texts what surely is a credential, wherever it stands: URLs with a password, bearer tokens, JWTs.

const URL_CREDENTIALS = /([a-z][a-z0-9+.-]*:\/\/)[^/\s:@]*:[^/\s@]*@/gi;
const BEARER = /\b(bearer\s+)[\w.~+/=-]{8,}/gi;
const JWT = /\beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*/g;

/** What stands in the place of a secret. */
export const HIDDEN = '(secret)';

export function withoutCredentials(text: string): string {
  return text.replace(URL_CREDENTIALS, `$1${HIDDEN}@`).replace(BEARER, `$1${HIDDEN}`).replace(JWT, HIDDEN);
}
