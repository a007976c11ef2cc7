// Writes docs/api from the docstrings of what src/index.ts and src/web.ts export.
//
//     node scripts/api-reference.mjs [--check]
//
// With --check nothing is written: it fails where docs/api is not what it would be.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const target = join(root, "docs/api");

/** A page for each folder of src, in the order in which a newcomer meets them. */
const PAGES = {
  search: ["Fits, search and comparison", "The whole way from a model and data to a merged model, and its parts."],
  models: ["Models", "Opening a pretrained model."],
  data: ["Data", "Images and texts, their splits, and tokenizers."],
  evaluation: ["Evaluation", "Scores, predictions, generation and benchmark tasks."],
  adapters: ["Adapters", "Structures, spaces, budgets, merging, and the files of adapters."],
  training: ["Training", "The loop, optimizers, schedules, and where a run is kept."],
  runtime: ["Runtime", "Sessions on a device."],
  formats: ["Files", "Folders and tensor files, on a disk and elsewhere."],
  graphs: ["Graphs", "Building, encoding and lowering ONNX graphs."],
  base: ["Basics", "Errors, chance and tensors."],
};
const pageOf = (file) => {
  const [folder] = file.split("/");
  return folder in PAGES ? folder : "graphs";
};

/** The declarations as the compiler emits them, in a folder, one statement a paragraph. */
function emitDeclarations() {
  const folder = mkdtempSync(join(tmpdir(), "glora-api-"));
  const run = (tool, args, cwd) =>
    execFileSync(process.execPath, [join(root, "node_modules", tool), ...args], { cwd, stdio: "pipe" });
  // Types are checked elsewhere.
  run(
    "typescript/bin/tsc",
    ["-p", "tsconfig.build.json", "--emitDeclarationOnly", "--sourceMap", "false", "--noCheck", "--outDir", folder],
    root,
  );
  run(
    "@biomejs/biome/bin/biome",
    ["format", "--write", "--indent-style=space", "--line-width=100", "--max-diagnostics=1", "."],
    folder,
  );
  return folder;
}

/** Statements of a file of declarations: a line that starts neither inside of one nor with its end begins the next. */
const statementsOf = (text) => text.split(/\n(?=[^\s})])/);

/** The declarations of one module by name, each with its docstring. */
function declarationsOf(text) {
  const found = new Map();
  let comment = "";
  for (const statement of statementsOf(text)) {
    if (statement.startsWith("/**")) comment = statement;
    else {
      const [, name] =
        /^export (?:declare )?(?:abstract )?(?:const|function|class|interface|type) (\w+)/.exec(statement) ?? [];
      if (name) {
        const before = found.get(name);
        found.set(
          name,
          before ? { ...before, code: `${before.code}\n${clean(statement)}` } : { comment, code: clean(statement) },
        );
      }
      comment = "";
    }
  }
  return found;
}

/** Without what is no one's business: keywords that every export has, private members. */
const clean = (statement) =>
  statement
    .trim()
    .replace(/^export (?:declare )?/, "")
    .replace(/^ *(?:#private|private .*);\n/gm, "");

/** Every name that a module exports from others, with the file that declares it. */
function* exportsOf(folder, file) {
  const text = readFileSync(join(folder, file), "utf8");
  const beside = (path) => join(dirname(file), path.replace(/\.js$/, ".d.ts"));
  for (const [, names, from] of text.matchAll(/^export (?:type )?\{([^}]*)\} from "([^"]+)"/gm))
    for (const name of names
      .split(",")
      .map((part) => part.trim().replace(/^type /, ""))
      .filter(Boolean))
      yield { name, file: beside(from) };
  for (const [, from] of text.matchAll(/^export \* from "([^"]+)"/gm)) yield* exportsOf(folder, beside(from));
}

/** What a name stands for, wherever it is declared. */
function declarationOf(folder, file, name) {
  const here = declarationsOf(readFileSync(join(folder, file), "utf8")).get(name);
  if (here) return here;
  const further = [...exportsOf(folder, file)].find((exported) => exported.name === name);
  if (!further) throw new Error(`${file}: declares no ${name}, which is exported from it.`);
  return declarationOf(folder, further.file, name);
}

/** A docstring as Markdown. */
function markdown(comment) {
  const lines = comment
    .replace(/^\/\*\*\s?|\s*\*\/\s*$/g, "")
    .split("\n")
    .map((line) => line.replace(/^\s*\* ?/, ""));
  const first = lines.findIndex((line) => line.startsWith("@"));
  const body = lines
    .slice(0, first < 0 ? undefined : first)
    .join("\n")
    .trim();
  const tags =
    first < 0
      ? []
      : lines
          .slice(first)
          .join("\n")
          .split(/\n(?=@)/)
          .map(tagText);
  return [body, tags.join("\n")]
    .filter(Boolean)
    .join("\n\n")
    .replace(/\{@link (\w+)\}/g, "`$1`");
}

function tagText(tag) {
  const text = tag.replace(/\s+/g, " ").trim();
  return text
    .replace(/^@param (\S+) /, "- `$1`: ")
    .replace(/^@returns? /, "- Returns ")
    .replace(/^@throws \{(\w+)\} /, "- Throws `$1` ")
    .replace(/^@see /, "- See ");
}

const folder = emitDeclarations();
const pages = new Map(Object.keys(PAGES).map((page) => [page, []]));
try {
  const core = new Set([...exportsOf(folder, "web.d.ts")].map(({ name, file }) => `${name} ${file}`));
  // A name of index.ts stands before one of web.ts with the same name, as in the module itself.
  const known = new Set();
  for (const { name, file } of exportsOf(folder, "index.d.ts")) {
    const declaration = declarationOf(folder, file, name);
    const inCore = core.has(`${name} ${file}`);
    const entry = { name: inCore && known.has(name) ? `${name} (glora/web)` : name, inCore, ...declaration };
    known.add(name);
    pages.get(pageOf(file)).push(entry);
  }
} finally {
  rmSync(folder, { recursive: true });
}

const anchor = (name) =>
  name
    .toLowerCase()
    .replace(/[^\w -]/g, "")
    .replaceAll(" ", "-");
/** The first sentence, without what a tag says. */
const summary = (comment) => /^(?!- )[\s\S]*?\.(?=\s|$)/.exec(markdown(comment).replaceAll("\n", " "))?.[0] ?? "";
const files = new Map();
const index = [];
for (const [page, entries] of pages) {
  const [title, about] = PAGES[page];
  entries.sort((a, b) => a.name.localeCompare(b.name, "en"));
  const sections = entries.map(({ name, inCore, comment, code }) => {
    const where = inCore ? "" : "Node.js only.\n\n";
    const text = markdown(comment);
    return `## ${name}\n\n${where}${text ? `${text}\n\n` : ""}\`\`\`ts\n${code}\n\`\`\`\n`;
  });
  files.set(`${page}.md`, `# ${title}\n\n${about}\n\n${sections.join("\n")}`);
  const rows = entries.map(({ name, comment }) =>
    `- [${name}](${page}.md#${anchor(name)}) ${summary(comment)}`.trimEnd(),
  );
  index.push(`## [${title}](${page}.md)\n\n${rows.join("\n")}\n`);
}
files.set(
  "README.md",
  "# API\n\nWhat a program imports: `glora` in Node.js, and `glora/web`, the core, in a browser. Generated from the docstrings by `npm run docs`.\n\n" +
    index.join("\n"),
);

if (process.argv.includes("--check")) {
  const present = existsSync(target) ? readdirSync(target) : [];
  const stale = [...files].filter(
    ([file, text]) => !present.includes(file) || readFileSync(join(target, file), "utf8") !== text,
  );
  const names = [...stale.map(([file]) => file), ...present.filter((file) => !files.has(file))];
  if (names.length > 0) {
    console.error(`docs/api is not what the docstrings say (${names.join(", ")}): npm run docs writes it anew.`);
    process.exitCode = 1;
  }
} else {
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  for (const [file, text] of files) writeFileSync(join(target, file), text);
  console.log(`docs/api: ${[...pages.values()].flat().length} exports on ${pages.size} pages`);
}
