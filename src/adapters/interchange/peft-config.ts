/** PEFT's adapter_config.json, as far as an adapter's function depends on it. */
import { isBounded, type Ways } from "../../base/backtracking.js";
import { Fields, throwProblems } from "../../formats/fields.js";

export interface PeftConfig {
  readonly type: "LORA" | "GLORA";
  /** An embedding that was trained is the output layer's weight too, where the base shares the two. */
  readonly tied: boolean;
  /** Ranks that a module may have, by its name as PEFT knows it. */
  ranks(module: string): readonly number[];
  /** The factor s of lora_B · lora_A of a module of this rank. */
  scale(module: string, rank: number): number;
}

/**
 * What a LoRA config can ask for that is another function than W + s · B · A, or starts from other base weights. A field
 * that is not listed (dropout, initial values that leave the base as it is, which modules are targeted) changes nothing
 * that the tensors do not say.
 */
const REFUSED: Readonly<Record<string, string>> = {
  use_dora: "DoRA normalises each row of the adapted weight; only plain LoRA is read. Merge it with PEFT first",
  use_qalora: "QA-LoRA adapts a quantised base; only plain LoRA is read",
  use_bdlora: "block-diagonal factors are not read",
  alora_invocation_tokens: "activated LoRA acts on some tokens only; no merged weight can say that",
  arrow_config: "Arrow chooses among adapters by each token; one adapter is read at a time",
  monteclora_config: "its weights are drawn at random; only plain LoRA is read",
  kasa_config: "KaSA changes the base's weights; merge it with PEFT first",
  layer_replication: "the model's layers are repeated; such a model is not built",
  target_parameters: "parameters that are no linear layer's weight are adapted; only linear layers can be",
  trainable_token_indices: "single tokens of an embedding are trained; only linear layers can be adapted",
};

/** Initial values for which PEFT subtracts something from the base's weights. */
const CHANGES_BASE = /^(pissa(_niter_\d+)?|olora|corda|lora_ga|loftq)$/i;

/** @throws {GloraError} CONFIG with everything in it that is wrong or cannot be read */
export function parsePeftConfig(json: unknown, file: string): PeftConfig {
  const fields = new Fields(json);
  const type = fields.raw("peft_type");
  if (type !== "LORA" && type !== "GLORA")
    fields.refuse("peft_type", `"LORA" and "GLORA" are read, not ${typeof type === "string" ? `"${type}"` : "this"}`);
  throwProblems("CONFIG", file, fields.problems);
  const tied = fields.raw("ensure_weight_tying") === true;
  if (type === "GLORA") return { type, tied, ranks: () => [], scale: () => 1 };

  for (const [key, why] of Object.entries(REFUSED)) if (isSet(fields.raw(key))) fields.refuse(key, why);
  const init = fields.raw("init_lora_weights");
  if (typeof init === "string" && CHANGES_BASE.test(init))
    fields.refuse(
      "init_lora_weights",
      `"${init}" changes the base's weights, which the adapter does not hold; save it as plain LoRA ` +
        "(path_initial_model_for_weight_conversion of save_pretrained)",
    );
  const rank = fields.natural("r", 8);
  const alpha = number(fields, "lora_alpha") ?? 8;
  const rooted = fields.boolean("use_rslora", false);
  const ranks = patternsOf(fields, "rank_pattern");
  const alphas = patternsOf(fields, "alpha_pattern");
  throwProblems("CONFIG", file, fields.problems);
  return {
    type: "LORA",
    tied,
    // PEFT sorts patterns when it saves them, so that the first of several need not be the one it trained with: the tensor's
    // rank tells. Nothing tells of alpha, whose first pattern counts, as it does when PEFT opens the folder.
    ranks: (module) => {
      const found = matching(ranks, module);
      return found.length > 0 ? found : [rank];
    },
    scale: (module, ofModule) => (matching(alphas, module)[0] ?? alpha) / (rooted ? Math.sqrt(ofModule) : ofModule),
  };
}

const isSet = (value: unknown): boolean =>
  Array.isArray(value) ? value.length > 0 : value !== undefined && value !== false;

function number(fields: Fields, key: string): number | undefined {
  const value = fields.raw(key);
  if (value === undefined || Number.isFinite(value)) return value as number | undefined;
  fields.refuse(key, "a number is expected");
  return undefined;
}

interface Pattern {
  readonly matches: RegExp;
  readonly value: number;
}

/** A key matches a module whose name ends with it, at a dot: PEFT's `re.match(rf"(.*\.)?({key})$", module)`. */
function patternsOf(fields: Fields, key: string): Pattern[] {
  const patterns = fields.object(key);
  return patterns.keys.flatMap((name): Pattern[] => {
    const value = number(patterns, name);
    if (value === undefined) return [];
    const matches = expressionOf(`^(.*\\.)?(${name.replaceAll("(?P<", "(?<")})$`);
    if (matches && isBounded(matches.source, OF_NAMES)) return [{ matches, value }];
    const why = "can take hours for a name of a few words: repetitions without a limit stand within each other";
    patterns.refuse(name, matches ? why : "is no regular expression");
    return [];
  });
}

/** The names of modules are short: three repetitions may stand behind each other in a key. */
const OF_NAMES: Ways = { count: 1e5, power: 4 };

function expressionOf(source: string): RegExp | undefined {
  try {
    return new RegExp(source);
  } catch {
    return undefined;
  }
}

const matching = (patterns: readonly Pattern[], module: string): readonly number[] =>
  patterns.flatMap(({ matches, value }) => (matches.test(module) ? [value] : []));
