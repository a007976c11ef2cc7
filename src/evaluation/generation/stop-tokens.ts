import { type Folder, readJson } from "../../formats/folder.js";
import type { Model } from "../../models/model.js";

/**
 * The tokens that end a text, as transformers finds them: `eos_token_id` of generation_config.json, else of config.json; else
 * the tokenizer's.
 */
export async function stopTokens({ folder, exportSpec, input }: Model): Promise<ReadonlySet<number>> {
  const said = idsOf(await generationConfig(folder)) ?? idsOf(exportSpec({ addedBiases: false }).config);
  if (said) return new Set(said);
  const eosId = input.kind === "text" ? (await input.tokenizer()).eosId : undefined;
  return new Set(eosId === undefined ? [] : [eosId]);
}

async function generationConfig(folder: Folder): Promise<unknown> {
  return (await folder.open("generation_config.json")) ? readJson(folder, "generation_config.json") : undefined;
}

function idsOf(config: unknown): number[] | undefined {
  const ids = (config as { readonly eos_token_id?: unknown } | null | undefined)?.eos_token_id;
  const list = (Array.isArray(ids) ? ids : [ids]).filter((id) => Number.isInteger(id));
  return list.length > 0 ? list : undefined;
}
