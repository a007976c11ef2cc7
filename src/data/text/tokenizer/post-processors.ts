/** The last step of a tokenizer: the tokens that a model wants around a text or a pair. One entry a "type". */
import type { Component } from "./component.js";

/** Tokens with their number of the text. */
export interface Run {
  readonly ids: readonly number[];
  readonly typeId: number;
}

/** One run or two to the runs in their order. `special`: whether tokens are added. */
export type PostProcessor = (runs: readonly Run[], special: boolean) => readonly Run[];

export const postProcessors: Readonly<Record<string, (part: Component) => PostProcessor>> = {
  Sequence: (part) => {
    const steps = part.parts("processors", postProcessors);
    return (runs, special) => steps.reduce((out, step) => step(out, special), runs);
  },
  ByteLevel: () => (runs) => runs, // it trims offsets
  TemplateProcessing: template,
  BertProcessing: (part) => {
    const [cls, sep] = [tokenOf(part, "cls"), tokenOf(part, "sep")];
    return ([first, second], special) => {
      if (!special) return second ? [first!, second] : [first!];
      const start = { ids: [cls, ...first!.ids, sep], typeId: 0 };
      return second ? [start, { ids: [...second.ids, sep], typeId: 1 }] : [start];
    };
  },
  RobertaProcessing: (part) => {
    const [cls, sep] = [tokenOf(part, "cls"), tokenOf(part, "sep")];
    return (runs, special) =>
      // All of type 0, the second text too.
      runs.map(({ ids }, i) => ({ ids: special ? [i === 0 ? cls : sep, ...ids, sep] : ids, typeId: 0 }));
  },
};

/** ["[SEP]", 102] */
function tokenOf(part: Component, key: string): number {
  const [, id] = part.list(key);
  if (!Number.isSafeInteger(id)) part.refuse(key, "a token and its id are expected");
  return Number(id);
}

type Slot =
  | { readonly text: number; readonly typeId: number }
  | { readonly ids: readonly number[]; readonly typeId: number };

function template(part: Component): PostProcessor {
  const slots = { single: slotsOf(part, "single"), pair: slotsOf(part, "pair") };
  return (runs, special) =>
    (runs.length > 1 ? slots.pair : slots.single).flatMap((slot): Run[] => {
      if ("text" in slot) return [{ ids: runs[slot.text]!.ids, typeId: slot.typeId }];
      return special ? [slot] : [];
    });
}

function slotsOf(part: Component, key: "single" | "pair"): readonly Slot[] {
  const ids = specialIds(part);
  return part.list(key).flatMap((item): Slot[] => {
    const { Sequence: sequence, SpecialToken: special } = (item ?? {}) as Readonly<Record<string, unknown>>;
    const { id, type_id } = (sequence ?? special ?? {}) as Readonly<Record<string, unknown>>;
    const typeId = Number(type_id ?? 0);
    const text = id === "A" ? 0 : id === "B" && key === "pair" ? 1 : undefined;
    if (sequence && text !== undefined) return [{ text, typeId }];
    const known = special ? ids.get(String(id)) : undefined;
    if (known) return [{ ids: known, typeId }];
    part.refuse(key, `${JSON.stringify(item)} is no text A or B and no token of special_tokens`);
    return [];
  });
}

function specialIds(part: Component): Map<string, readonly number[]> {
  const tokens = part.object("special_tokens");
  return new Map(tokens.keys.map((name) => [name, tokens.object(name).numbers("ids")]));
}
