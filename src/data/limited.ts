import { throwIfAborted } from "../base/errors.js";

/** Runs `task` for 0 … count − 1, at most `limit` at a time. A task is expected to handle its own failures. */
export async function forEachLimited(
  count: number,
  limit: number,
  signal: AbortSignal | undefined,
  task: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      throwIfAborted(signal);
      await task(next++);
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, count) }, worker));
}
