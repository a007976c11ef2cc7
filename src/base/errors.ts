/**
 * Every failure that a user can cause or mend is a {@link GloraError}: the text is for people (the place, what was
 * expected, what was found, what to do), the fields are for programs.
 */

/** Stable codes, one for each kind of failure. */
export type ErrorCode =
  | "USAGE" // the call or the command line is wrong
  | "FILE" // a file is missing, unreadable, truncated or lies about its contents
  | "CONFIG" // a config or a JSON field is wrong
  | "MODEL" // tensors missing, unexpected or misshapen; an architecture that is not known
  | "ADAPTER" // an adapter does not fit its model
  | "DATA" // images, labels, splits
  | "BUDGET" // no structure can meet the budget
  | "DEVICE" // an execution provider cannot be had
  | "GRAPH" // a graph is not well formed: a mistake of ours
  | "MERGE" // adapted and merged outputs disagree
  | "ABORTED"; // interrupted by the caller

export class GloraError extends Error {
  readonly code: ErrorCode;
  /** What a program may want to read: file, layer, support, expected, actual … */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, details: Record<string, unknown> = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "GloraError";
    this.code = code;
    this.details = details;
  }
}

/** Throws the standard error of an interrupted call. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new GloraError("ABORTED", "Interrupted.", {}, signal.reason);
}

/** The text of anything that was thrown. */
export const messageOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));
