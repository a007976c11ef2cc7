/**
 * Runs the body of a command so that Ctrl-C ends it in order: the first SIGINT aborts the signal, and the body stops at
 * its next step; a second one ends the process at once, as SIGINT does by itself (exit code 130 in a shell).
 *
 * @returns what the body returns; an aborted body throws, by `throwIfAborted` or a run that got the signal
 */
export async function interruptible<T>(body: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const onSecond = (): void => {
    process.off("SIGINT", onSecond);
    process.kill(process.pid, "SIGINT");
  };
  const onFirst = (): void => {
    process.on("SIGINT", onSecond);
    controller.abort();
  };
  process.once("SIGINT", onFirst);
  try {
    return await body(controller.signal);
  } finally {
    process.off("SIGINT", onFirst);
    process.off("SIGINT", onSecond);
  }
}
