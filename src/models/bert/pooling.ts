import { Fields, throwProblems } from "../../formats/fields.js";
import { type Folder, readJson } from "../../formats/folder.js";
import type { Pooling } from "./forward.js";

const FILE = "1_Pooling/config.json";

/** Of the ways of pooling that sentence-transformers knows, those that are built here. */
const MODES: ReadonlyMap<string, Pooling> = new Map([
  ["mean", "mean"],
  ["cls", "first"],
]);
/** How its older files say them. */
const FLAGS: Readonly<Record<string, string>> = {
  pooling_mode_mean_tokens: "mean",
  pooling_mode_cls_token: "cls",
  pooling_mode_max_tokens: "max",
  pooling_mode_mean_sqrt_len_tokens: "mean_sqrt_len_tokens",
  pooling_mode_weightedmean_tokens: "weightedmean",
  pooling_mode_lasttoken: "lasttoken",
};

/**
 * How the embedding of a text is pooled from its tokens: as the folder of sentence-transformers says, else by their mean.
 * @throws {GloraError} CONFIG if it says another way than the mean or the class token
 */
export async function embeddingPooling(folder: Folder): Promise<Pooling> {
  if ((await folder.open(FILE)) === undefined) return "mean";
  const fields = new Fields(await readJson(folder, FILE));
  const flagged = Object.keys(FLAGS).filter((flag) => fields.boolean(flag, false));
  const modes = fields.has("pooling_mode") ? [fields.text("pooling_mode")] : flagged.map((flag) => FLAGS[flag]!);
  const pooling = modes.length === 1 ? MODES.get(modes[0]!) : undefined;
  if (pooling === undefined)
    fields.problems.push(`pooling by ${modes.join(" and ") || "nothing"}: only mean or cls is supported`);
  throwProblems("CONFIG", `${folder.name}/${FILE}`, fields.problems);
  return pooling!;
}
