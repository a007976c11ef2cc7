import { expect, test } from "vitest";
import { typed } from "./cli.fixtures.js";
import { commands } from "./commands/index.js";

test("docs/commands.md is what the commands say of themselves (vitest -u writes it anew)", async () => {
  const sections = await Promise.all(
    commands.map(async ({ name }) => {
      const { stdout } = await typed([name, "--help"]);
      return `## glora ${name}\n\n\`\`\`text\n${stdout.trimEnd()}\n\`\`\`\n`;
    }),
  );
  const intro =
    "Exit codes: 0 done, 1 failed, 2 wrong use of the command line, 130 interrupted, 143 terminated. With `--json` stdout holds JSON alone, one\n" +
    'document or one a line; a failure is `{"error":{"code":…,"message":…}}` with what else is known of it.\n\n' +
    "The examples name folders of yours, and are not run; those of the other pages are, or say why not.\n";
  await expect(`# Commands\n\n${intro}\n${sections.join("\n")}`).toMatchFileSnapshot("../../docs/commands.md");
});
