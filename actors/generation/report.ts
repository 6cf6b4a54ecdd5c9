// The report as Markdown, from templates. What is a quote stands in a block quote, character for character; all else is ours.

import type { Authorship } from './answer.ts';
import type { Citation, Citations, CitedSearch } from './citations.ts';
import { counted, number, percent, signed } from './numbers.ts';
import type { ReportDataset, ReportInput, ReportSeries, ReportSurvey } from './report-input.ts';

export function renderReport(input: ReportInput, citations: Citations, by: Authorship): string {
  const parts = [
    `# ${input.title ?? input.question}`,
    authorship(by),
    ...answerPart(input, citations, by),
    ...passagesPart(citations, by),
    ...findingsPart(input),
    ...corpusPart(input.survey),
    ...numbersPart(input),
    ...sourcesPart(input, citations),
  ];
  return `${parts.join('\n\n')}\n`;
}

function authorship(by: Authorship): string {
  return by.mode === 'model'
    ? `*How it was made: the answer was written by ${by.reason}, from the quotes below and nothing else. Quotes and numbers are extracted and computed, not generated.*`
    : `*How it was made: by extraction and templates, without a language model (${by.reason}). Quotes and numbers are extracted and computed, not generated.*`;
}

function answerPart(input: ReportInput, citations: Citations, by: Authorship): string[] {
  if (by.mode === 'model') return ['## Answer', by.answer.text];
  const best = bestOf(citations, by);
  if (!best) return ['## Answer', `No passage answers "${input.question}".`];
  return ['## Answer', 'The passage that answers it best:', quote(best), place(best)];
}

/** Without a model the best passage is the answer, and is not quoted a second time below. */
const bestOf = (citations: Citations, by: Authorship): Citation | undefined =>
  by.mode === 'model' ? undefined : citations.all[0];

function passagesPart(citations: Citations, by: Authorship): string[] {
  const shown = citations.searches.filter((search) => search.quoted.length > 0 || search.also.length > 0);
  const above = bestOf(citations, by);
  return shown.length === 0
    ? []
    : ['## What the documents say', ...shown.flatMap((search) => searchPart(search, above))];
}

function searchPart(search: CitedSearch, above: Citation | undefined): string[] {
  const quoted = search.quoted.filter((citation) => citation !== above);
  const also = [...search.quoted.filter((citation) => citation === above), ...search.also];
  return [
    `### ${capitalised(search.question)}`,
    ...quoted.flatMap((citation) => [quote(citation), place(citation)]),
    ...(also.length > 0 ? [`See also ${also.map((citation) => `[${citation.number}]`).join(', ')}.`] : []),
  ];
}

const capitalised = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

function quote(citation: Citation): string {
  const lines = citation.quote.split('\n');
  const shown = citation.kind === 'code' ? ['```', ...lines, '```'] : lines;
  return shown.map((line) => `> ${line}`).join('\n');
}

function place(citation: Citation): string {
  const section = citation.section ? `, under "${citation.section}"` : '';
  return `[${citation.number}] \`${citation.file}:${citation.line}\`${section}`;
}

function findingsPart(input: ReportInput): string[] {
  if (input.findings.length === 0) return [];
  const rows = input.findings.map((finding) => {
    const where = finding.sources.map((source) => `\`${source.file}:${source.line}\``).join(', ') || 'none';
    return `- **${finding.verdict}** (by ${finding.method === 'model' ? 'a model' : 'rules'}): ${oneLine(finding.claim)} Sources: ${where}.`;
  });
  return ['## Claims checked', rows.join('\n')];
}

function corpusPart(survey: ReportSurvey | undefined): string[] {
  if (!survey) return [];
  const themes = survey.themes.slice(0, 10).map((theme) => `${theme.term} (${theme.count})`);
  const lines = [
    `- ${counted(survey.files, 'file')}, ${counted(survey.passages, 'passage')}, ${counted(survey.words, 'word')}.`,
    ...(themes.length > 0 ? [`- Themes: ${themes.join(', ')}.`] : []),
    `- ${counted(survey.repeatedPassages, 'passage')} occur in several places almost word for word (${number(survey.pairsCompared)} pairs compared).`,
    ...(survey.skipped.length > 0
      ? [
          `- Left out: ${survey.skipped
            .slice(0, 5)
            .map((one) => `${one.file} (${one.reason})`)
            .join('; ')}.`,
        ]
      : []),
  ];
  return ['## The documents', lines.join('\n')];
}

function numbersPart(input: ReportInput): string[] {
  return input.datasets.length === 0 ? [] : ['## Numbers', ...input.datasets.flatMap(datasetPart)];
}

function datasetPart(dataset: ReportDataset): string[] {
  const span = dataset.time ? `, ${dataset.time.from} to ${dataset.time.to}, one per ${dataset.time.step}` : '';
  const rows = dataset.series.map(
    ({ name, describe: d }) =>
      `| ${cell(name)} | ${number(d.n)} | ${number(d.mean)} | ${d.sd === null ? '' : number(d.sd)} | ${number(d.min)} | ${number(d.median)} | ${number(d.max)} |`,
  );
  const table = [
    '| series | n | mean | sd | min | median | max |',
    '|---|---:|---:|---:|---:|---:|---:|',
    ...rows,
  ].join('\n');
  const categories = dataset.categories.map(
    ({ name, values }) => `- \`${name}\`: ${values.map(({ value, count }) => `${value} ${number(count)}`).join(', ')}.`,
  );
  return [
    `### ${dataset.file}`,
    `${counted(dataset.rows, 'row')}${span}.`,
    ...(rows.length > 0 ? [table, dataset.series.map((series) => seriesLine(series, dataset)).join('\n')] : []),
    ...(categories.length > 0 ? [categories.join('\n')] : []),
  ];
}

function seriesLine(series: ReportSeries, dataset: ReportDataset): string {
  return `- **${series.name}**: ${[trendText(series, dataset), seasonText(series), anomalyText(series)].join(' ')}`;
}

function trendText(series: ReportSeries, dataset: ReportDataset): string {
  const { trend } = series;
  if (!trend) return 'too short or too even for a trend.';
  const unit = trend.perYear === null ? 'per row' : 'a year';
  const slope = signed(trend.perYear ?? trend.robustSlope);
  const interval = trend.interval;
  const range = interval
    ? `, ${percent(interval.level)} interval ${number(interval.low)} to ${number(interval.high)}`
    : '';
  if (trend.direction === 'none') return `no clear trend (${slope} ${unit}${range}).`;
  const unsure =
    interval && interval.low <= 0 && interval.high >= 0 ? ', though the interval does not exclude none' : '';
  const short =
    dataset.time && yearsOf(dataset.time) < 10 && unsure === ''
      ? ' over a span too short to tell climate from weather'
      : '';
  return `${trend.direction}, ${slope} ${unit}${range}${unsure}${dataset.time?.step === 'day' ? short : ''}.`;
}

const yearsOf = (time: { from: string; to: string }): number =>
  Number(time.to.slice(0, 4)) - Number(time.from.slice(0, 4));

function seasonText(series: ReportSeries): string {
  const { label, strength, high, low, swing } = series.seasonality;
  if (label === null) return 'No cycle.';
  return `A cycle of ${label} explains ${percent(strength)} of what the trend leaves (swing ${number(swing ?? 0)}; in the first cycle lowest at ${low}, highest at ${high}).`;
}

function anomalyText(series: ReportSeries): string {
  const { count, threshold, top } = series.anomalies;
  if (count === 0) return `No outlier beyond ${threshold} robust deviations.`;
  const shown = top.slice(0, 3).map((one) => `${one.at}: ${number(one.value)}, expected ${number(one.expected)}`);
  return `${counted(count, 'outlier')} beyond ${threshold} robust deviations, strongest ${shown.join('; ')}.`;
}

function sourcesPart(input: ReportInput, citations: Citations): string[] {
  const inFolder = input.folder ? ` in \`${input.folder}\`` : '';
  const documents = citations.all.map((citation) => `- ${place(citation)}`);
  const data = input.datasets.map(({ file, rows }) => {
    const note = Object.entries(input.notes).find(([name]) => file === name || file.endsWith(`/${name}`))?.[1];
    return `- \`${file}\`, ${counted(rows, 'row')}${note ? `. ${note}` : ''}`;
  });
  return [
    '## Sources',
    ...(documents.length > 0 ? [`Documents${inFolder}:`, documents.join('\n')] : []),
    ...(data.length > 0 ? ['Data:', data.join('\n')] : []),
  ];
}

const oneLine = (text: string): string => text.replace(/\s+/g, ' ').trim();
const cell = (text: string): string => text.replaceAll('|', '\\|');
