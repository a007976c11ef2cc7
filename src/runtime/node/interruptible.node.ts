/** How a process is asked to end: Ctrl-C, and what a job scheduler or `kill` sends. */
const SIGNALS = ["SIGINT", "SIGTERM"] as const;

/**
 * Runs the body of a command so that Ctrl-C or SIGTERM ends it in order: the first one aborts the signal, whose reason is
 * its name, and the body stops at its next step; a second one ends the process at once, as it does by itself (exit code 130
 * or 143 in a shell).
 *
 * @returns what the body returns; an aborted body throws, by `throwIfAborted` or a run that got the signal
 */
export async function interruptible<T>(body: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const listeners = SIGNALS.map((name) => {
    const onSignal = (): void => {
      if (controller.signal.aborted) {
        leave();
        process.kill(process.pid, name);
      } else controller.abort(name);
    };
    return [name, onSignal] as const;
  });
  const leave = (): void => {
    for (const [name, onSignal] of listeners) process.off(name, onSignal);
  };
  for (const [name, onSignal] of listeners) process.on(name, onSignal);
  try {
    return await body(controller.signal);
  } finally {
    leave();
  }
}
