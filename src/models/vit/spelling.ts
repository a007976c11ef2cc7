import type { VitConfig, VitLibrary } from "./config.js";
import type { BlockNames, VitNames } from "./names.js";

/** A way of naming: how to tell it, and how it names. `#` stands for the number of a block. */
export interface Spelling {
  readonly library: VitLibrary;
  /** A tensor that no other spelling holds. */
  readonly sign: string;
  readonly names: Omit<VitNames, "blocks" | "finalNorm"> &
    Readonly<Record<Exclude<VitConfig["finalNorm"], "none">, string>>;
  readonly block: BlockNames;
  /** The class token is stored as [width], positions as [tokens, width]: without axes of one in front. */
  readonly flat?: boolean;
  /** Tensors that play no part in the forward pass. */
  readonly unused: RegExp;
}

/** All names of a tree changed alike. */
export function mapNames<T>(names: T, change: (name: string) => string): T {
  const entries = Object.entries(names as object).map(([part, name]) => [
    part,
    typeof name === "string" ? change(name) : mapNames(name, change),
  ]);
  return Object.fromEntries(entries);
}
