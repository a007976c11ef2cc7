// Runs the commands of README.md and docs/*.md with the built checkout, as `glora` and `npx glora`, in a scratch folder for each file.
//
//     node scripts/docs-commands.mjs [FILE …]
//
// A comment in front of a block of commands (```sh, or indented) says what becomes of it; a block without one fails:
//
//     <!-- run -->                         as it stands
//     <!-- run; small: --max-time 5s -->   with these options added to fit, train and search
//     <!-- not run: REASON -->
//     <!-- file: NAME -->                  the block, of any language, is written to this file
//
// What a scratch folder holds beforehand stands in `prepare`. Without ../shared/data, the tutorial's model and photographs are missing, and it is
// passed over.
import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { embeddedModel } from "glora";
import { drawImages } from "../examples/images.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const shared = resolve(root, "../shared/data");
const COMMAND = /^(\$ )?(npm|npx|glora|node|curl|python3?|printf|bash|scripts\/)\b/;
const SECONDS = 120;

/** Every block of commands or with a comment of ours, in order. */
function blocksOf(text) {
  const blocks = [];
  const lines = text.split("\n");
  let comment = "";
  for (let i = 0; i < lines.length; i++) {
    const start = i;
    const fence = /^```(\w*)/.exec(lines[i]);
    const body = [];
    if (fence) for (i++; i < lines.length && !lines[i].startsWith("```"); i++) body.push(lines[i]);
    else if (/^ {4}\S/.test(lines[i]) && (lines[start - 1] ?? "").trim() === "") {
      for (; /^ {4}/.test(lines[i] ?? ""); i++) body.push(lines[i].slice(4));
      i--;
    }
    if (body.length > 0) {
      const commands = fence ? fence[1] === "sh" : COMMAND.test(body[0]);
      if (commands || comment) blocks.push({ line: start + 1, code: body.join("\n"), mark: markOf(comment) });
      comment = "";
    } else if (lines[i].trim() !== "") comment = /^<!-- ((?:run|not run|file)\b.*) -->$/.exec(lines[i])?.[1] ?? "";
  }
  return blocks;
}

function markOf(comment) {
  const [, kind, rest] = /^(run|not run|file)(?:[;:] (.*))?$/.exec(comment) ?? [];
  const small = kind === "run" && rest ? /^small: (.*)$/.exec(rest)?.[1] : undefined;
  const valid = kind === "run" ? !rest || small : rest;
  return valid ? { kind, rest, small } : undefined;
}

/** The block with options added to what would take long; a remark behind a command stays behind it. */
const made = (code, small) =>
  small
    ? code.replace(/^((?:npx )?glora (?:fit|train|search)\b(?:[^\n#]|\\\n)*?)(\s*(?:#.*)?)$/gm, `$1 ${small}$2`)
    : code;

/** What the docs take to be there: models, pictures and texts. */
async function prepare(folder) {
  const bin = join(folder, "node_modules/.bin");
  mkdirSync(bin, { recursive: true });
  mkdirSync(join(folder, "models"));
  symlinkSync(root, join(folder, "node_modules/glora"), "dir");
  symlinkSync(join(root, "node_modules/@huggingface"), join(folder, "node_modules/@huggingface"), "dir");
  symlinkSync(join(root, "dist/cli/main.js"), join(bin, "glora"));
  for (const name of ["vit", "vit-micro"]) symlinkSync(embeddedModel, join(folder, "models", name), "dir");
  if (existsSync(shared)) {
    symlinkSync(join(shared, "models/stories260K-hf"), join(folder, "models/smollm2"), "dir");
    symlinkSync(join(shared, "models/deit-tiny"), join(folder, "deit-tiny"), "dir");
    const texts = JSON.parse(readFileSync(join(shared, "text/instruct/alpaca_en_demo.json"), "utf8"));
    writeFileSync(join(folder, "alpaca.json"), JSON.stringify(texts.slice(0, 40)));
  }
}

/** The tutorial trains on photographs of flowers, everything else on drawn shapes. */
async function pictures(folder, file) {
  const flowers = join(folder, "flowers");
  if (!file.endsWith("tutorial.md")) await drawImages(flowers);
  else
    for (const kind of readdirSync(join(shared, "images/flowers"))) {
      const photographs = readdirSync(join(shared, "images/flowers", kind)).sort();
      mkdirSync(join(flowers, kind), { recursive: true });
      for (const name of photographs.slice(0, 12))
        cpSync(join(shared, "images/flowers", kind, name), join(flowers, kind, name));
      mkdirSync(join(folder, "photos"), { recursive: true });
      cpSync(join(shared, "images/flowers", kind, photographs.at(-1)), join(folder, "photos", `${kind}.jpg`));
    }
  if (!existsSync(join(folder, "photos")))
    cpSync(join(flowers, "circles"), join(folder, "photos"), { recursive: true });
}

/** @returns what went wrong, or undefined */
function run(folder, code) {
  const path = [join(folder, "node_modules/.bin"), process.env.PATH].join(delimiter);
  // npx must find the checkout, and fetch nothing.
  const env = { ...process.env, PATH: path, npm_config_offline: "true", npm_config_loglevel: "error" };
  const { status, signal, stdout, stderr } = spawnSync("bash", ["-e", "-o", "pipefail", "-c", code], {
    ...{ cwd: folder, env, encoding: "utf8", timeout: 1000 * SECONDS, input: "", maxBuffer: 2 ** 26 },
  });
  if (status === 0) return undefined;
  return `${stdout.slice(-3000)}${stderr.slice(-3000)}\n${signal ? `ended by ${signal} after ${SECONDS} s` : `exit code ${status}`}`;
}

const named = process.argv.slice(2);
const docs = readdirSync(join(root, "docs")).filter((name) => name.endsWith(".md") && name !== "commands.md");
const files = named.length > 0 ? named : ["README.md", ...docs.map((name) => `docs/${name}`)];
const problems = [];
const counts = { run: 0, "not run": 0, file: 0 };
for (const file of files) {
  const blocks = blocksOf(readFileSync(join(root, file), "utf8"));
  for (const { line, mark } of blocks)
    if (!mark)
      problems.push(
        `${file}, line ${line}: neither run nor a reason not to (<!-- run --> or <!-- not run: REASON -->)`,
      );
  if (!blocks.some(({ mark }) => mark?.kind === "run")) {
    counts["not run"] += blocks.length;
    continue;
  }
  if (!existsSync(shared) && /tutorial|text|generate|language/.test(file)) {
    console.log(`${file}: passed over, ${shared} is missing`);
    continue;
  }
  const folder = mkdtempSync(join(tmpdir(), "glora-docs-"));
  try {
    await prepare(folder);
    await pictures(folder, file);
    for (const { line, code, mark } of blocks) {
      if (!mark) continue;
      counts[mark.kind]++;
      if (mark.kind === "not run") continue;
      if (mark.kind === "file") {
        mkdirSync(dirname(join(folder, mark.rest)), { recursive: true });
        writeFileSync(join(folder, mark.rest), `${code}\n`);
        continue;
      }
      const start = performance.now();
      const problem = run(folder, made(code, mark.small));
      console.log(`${file}, line ${line}: ${((performance.now() - start) / 1000).toFixed(1)} s`);
      if (problem) {
        problems.push(`${file}, line ${line}:\n${made(code, mark.small)}\n${problem}`);
        break; // what follows builds on it
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
console.log(`${counts.run} blocks run, ${counts.file} files written, ${counts["not run"]} with a reason not to`);
for (const problem of problems) console.error(`\n${problem}`);
process.exitCode = problems.length > 0 ? 1 : 0;
