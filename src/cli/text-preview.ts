import type { TextPreview } from "../data/text/preview.js";
import { formatCount } from "../training/progress.js";
import { table } from "./table.js";
import type { Paint } from "./terminal.js";

const WIDEST_BAR = 40;

/** Text data as a model will see it, for people: tokens that the loss leaves out are dimmed. */
export function describePreview({ examples, lengths, report }: TextPreview, paint: Paint): string {
  const shown = examples.map(({ name, label, tokens }) => {
    const scored = tokens.filter((token) => token.scored).length;
    const title = `${name}: ${tokens.length} tokens, ${label === undefined ? `${scored} scored` : `label ${label}`}`;
    return `${paint("bold", title)}\n${runsOf(tokens)
      .map(({ text, dim }) => (dim ? paint("dim", text) : text))
      .join("")}`;
  });
  const most = Math.max(1, ...lengths.map(({ count }) => count));
  const bars = lengths.map(({ from, to, count }) => [
    `${from}–${to}`,
    count,
    "█".repeat(Math.round((WIDEST_BAR * count) / most)),
  ]);
  const splits = Object.entries(report).map(([split, r]) => [
    split,
    r.records,
    r.rows,
    r.tokens,
    r.scoredTokens,
    r.truncated,
    r.dropped.length,
  ]);
  const { maxTokens, cutTokens } = report.train;
  return [
    ...shown,
    table([{ title: "tokens", align: "right" }, "rows", ""], bars, paint),
    table(["split", "records", "rows", "tokens", "scored", "truncated", "dropped"], splits, paint),
    ...(cutTokens > 0
      ? [`${formatCount(cutTokens)} training tokens lie beyond the limit of ${maxTokens} tokens and are cut off.`]
      : []),
  ].join("\n\n");
}

/** Neighbouring tokens of the same look as one text; where nothing is scored nothing is dimmed. */
function runsOf(tokens: TextPreview["examples"][number]["tokens"]): { text: string; dim: boolean }[] {
  const dims = tokens.some(({ scored }) => scored);
  const runs: { text: string; dim: boolean }[] = [];
  for (const { text, scored } of tokens) {
    const dim = dims && !scored;
    const last = runs.at(-1);
    if (last?.dim === dim) last.text += text;
    else runs.push({ text, dim });
  }
  return runs;
}
