/** How the forms of supports look to people, in text and in pictures. */
import { type Form, type FormKind, kindOf, rankOf } from "../adapters/structure.js";
import type { Tone } from "./svg.js";
import type { Style } from "./terminal.js";

interface FormLook {
  readonly name: string;
  /** One character that stands for the form; a low-rank form shows its rank. */
  readonly sign?: string;
  /** Its colour in a terminal, and in a picture. */
  readonly style: Style;
  readonly tone: Tone;
}

export const FORM_LOOKS: Readonly<Record<FormKind, FormLook>> = {
  lora: { name: "low rank", style: "green", tone: "green" },
  vector: { name: "vector", sign: "v", style: "cyan", tone: "blue" },
  scalar: { name: "scalar", sign: "s", style: "yellow", tone: "yellow" },
  none: { name: "none", sign: "·", style: "dim", tone: "faint" },
};

/** In the order of legends. */
export const FORM_KINDS: readonly FormKind[] = ["lora", "vector", "scalar", "none"];

export const signOf = (form: Form): string => FORM_LOOKS[kindOf(form)].sign ?? String(rankOf(form));
