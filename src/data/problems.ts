import { GloraError } from "../base/errors.js";

const listed = 10;

/** One error for all that is wrong with some data: the first ten problems by name, and the count. */
export function dataError(title: string, problems: readonly string[]): GloraError {
  const lines = problems.slice(0, listed).map((problem) => `\n  - ${problem}`);
  const more = problems.length > listed ? `\n  … and ${problems.length - listed} more` : "";
  return new GloraError("DATA", `${title}${lines.join("")}${more}`, { problems });
}
