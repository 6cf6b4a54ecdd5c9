// Words as the search sees them: lower case, no stop words, a light English stem, so that "cancels" finds "cancelled".

const STOP_WORDS = new Set(
  `a about above after again all also am an and any are as at be because been before being below between both but by can could did do does
  doing don down during each few for from further get had has have having he her here hers him his how i if in into is it its itself just
  let me more most my no nor not now of off on once only or other our out over own per same she should so some such than that the their
  theirs them then there these they this those through to too under until up use used using very via was we were what when where which
  while who whom why will with within without would you your`.split(/\s+/),
);

const WORD = /[\p{L}\p{N}]+(?:['’][\p{L}]+)?/gu;

/** Every word of a text in lower case, stop words included. */
export function words(text: string): string[] {
  return text.toLowerCase().match(WORD) ?? [];
}

/** The stem of a word, or undefined for a stop word and for a single letter. */
export function term(word: string): string | undefined {
  const lower = word.toLowerCase();
  if (STOP_WORDS.has(lower) || (lower.length < 2 && !/\d/.test(lower))) return undefined;
  return stem(lower);
}

/** The distinct terms of a text, in order. */
export function terms(text: string): string[] {
  return [...new Set(words(text).flatMap((word) => term(word) ?? []))];
}

const SUFFIXES: readonly (readonly [RegExp, string])[] = [
  [/['’]s?$/, ''],
  [/(ss|sh|ch|x|z)es$/, '$1'],
  [/ies$/, 'y'],
  [/([^su])s$/, '$1'],
  [/(at|iz|is|ag|ur|uc)(ed|ing|ion|ions|or|er)$/, '$1e'],
  [/ations?$/, 'ate'],
  [/([bdfgklmnprt])\1(ed|ing|er)$/, '$1'],
  [/(?<=[a-z]{3})(ed|ing|ment|ly)$/, ''],
  [/(?<=[a-z]{3})e$/, ''],
];

/** Not a linguist's stemmer: the same few endings go in the same order, which is all that matching needs. */
export function stem(word: string): string {
  if (word.length < 4 || !/^[a-z'’]+$/.test(word)) return word;
  return SUFFIXES.reduce((short, [ending, by]) => (short.length < 4 ? short : short.replace(ending, by)), word);
}
