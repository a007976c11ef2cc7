/** Several data sets in one command, each with options of its own behind its path. */
import { GloraError } from "../base/errors.js";
import type { DataSource } from "../data/open.node.js";
import { given, type Option, readOption } from "./options.js";
import { dataOptions } from "./shared-options.js";

export interface NamedSource {
  /** What the data is to be called; its own name unless said. */
  readonly name: string | undefined;
  readonly source: DataSource;
}

type Values = Readonly<Record<string, unknown>>;

/**
 * Reads `path?option=value&option=value`: the options are those of every command with data, without dashes in front, and
 * replace what is given for all; `name` names the data.
 *
 * @param common  values of {@link dataOptions}, for all data sets
 * @throws {GloraError} USAGE naming an option that is not known, or its value
 */
export function readSource(text: string, common: Values): NamedSource {
  const at = text.indexOf("?");
  const path = at < 0 ? text : text.slice(0, at);
  const { name, ...own } = at < 0 ? ({} as Values) : readQuery(new URLSearchParams(text.slice(at + 1)), text);
  return { name: name as string | undefined, source: dataSourceOf(path, { ...common, ...own }) };
}

function readQuery(query: URLSearchParams, text: string): Values {
  const { data: _, ...known } = dataOptions as Readonly<Record<string, Option<unknown>>>;
  const read = ([key, value]: [string, string]): [string, unknown] => {
    if (key === "name") return [key, value];
    const camel = key.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
    const spec = known[camel];
    if (spec) return [camel, readOption(camel, spec, value)];
    const names = Object.keys(known).map((name) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`));
    throw new GloraError("USAGE", `--data: ${text}: "${key}" is none of name, ${names.join(", ")}.`, {
      option: "--data",
      found: key,
    });
  };
  return Object.fromEntries([...query].map(read));
}

/** What the data options among a command's values name, in the words of those who read data. */
export function dataSourceOf(path: string, values: Values): DataSource {
  const {
    data: _,
    splitShares,
    dataSeed,
    ...others
  } = Object.fromEntries(Object.keys(dataOptions).map((key) => [key, values[key]]));
  return { path, ...(given({ split: splitShares, seed: dataSeed, ...others }) as Omit<DataSource, "path">) };
}
