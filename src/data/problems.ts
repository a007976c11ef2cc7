import { GloraError } from "../base/errors.js";

/** Above it a report is no longer read; all problems are among the error's details. */
const listed = 1000;

/** One error for all that is wrong with some data, a line each. */
export function dataError(title: string, problems: readonly string[]): GloraError {
  const lines = problems.slice(0, listed).map((problem) => `\n  - ${problem}`);
  const more = problems.length > listed ? `\n  … and ${problems.length - listed} more` : "";
  return new GloraError("DATA", `${title}${lines.join("")}${more}`, { problems });
}
