import { runCli } from "./cli.js";
import type { Command } from "./command.js";

/** A stream that keeps what is written. */
export function recorder(o: { isTTY?: boolean; columns?: number } = {}) {
  let text = "";
  return {
    ...o,
    write: (more: string) => {
      text += more;
    },
    text: () => text,
  };
}

/** Runs a command line and returns what it wrote. */
export async function typed(argv: readonly string[], commands?: readonly Command[]) {
  const [stdout, stderr] = [recorder(), recorder()];
  const code = await runCli(argv, { stdout, stderr, env: {} }, commands);
  return { code, stdout: stdout.text(), stderr: stderr.text() };
}
