// A goal as the questions that it is made of. Pure.

const MAX_TOPICS = 6;
const MAX_CHARS = 1_000;
const LEAST_WORDS = 2;

const SEPARATORS =
  /[?;\n]|\.\s+|,?\s+and\s+(?=(?:how|what|when|where|which|who|why|is|are|does|do|can)\b)|,?\s+and\s+(?=(?:compare|describe|explain|find|list|show|summari[sz]e)\b)/i;

/** The goal itself when it is one thing; its parts, six at most, when it asks for several. */
export function topicsOf(goal: string): string[] {
  const whole = goal.trim().slice(0, MAX_CHARS);
  const parts = goal
    .split(SEPARATORS)
    .map((part) =>
      part
        .trim()
        .replace(/^[-*\d.)\s]+/, '')
        .replace(/[,.]$/, '')
        .slice(0, MAX_CHARS),
    )
    .filter((part) => part.split(/\s+/).length >= LEAST_WORDS);
  return parts.length < 2 ? [whole] : [...new Set(parts)].slice(0, MAX_TOPICS);
}
