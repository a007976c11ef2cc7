/** Pages for a headless Chromium, served from memory and from files, and what they post back. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

/** The browser's program: GLORA_CHROMIUM, or one of the usual names. */
export function findChromium(): string | undefined {
  const given = process.env["GLORA_CHROMIUM"];
  if (given) return given;
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  return NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find((path) => existsSync(path));
}

/** WebGPU on the CPU, by the SwiftShader that comes with Chromium. */
const FLAGS = [
  "--headless=new",
  "--no-sandbox",
  "--disable-gpu-sandbox",
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
  "--enable-features=Vulkan",
  "--disable-dev-shm-usage",
  "--no-first-run",
  "--disable-extensions",
  "--disable-background-networking",
  "--log-level=3",
];

const TYPES: Readonly<Record<string, string>> = {
  html: "text/html",
  js: "text/javascript",
  mjs: "text/javascript",
  json: "application/json",
  wasm: "application/wasm",
};

/** What is served under a path: text, bytes, or a file by its URL. */
export type Served = ReadonlyMap<string, string | Uint8Array | URL>;

export interface PageOptions {
  /** Path and query of the page. */
  readonly page: string;
  /** Send the headers that allow a page to share memory between threads. */
  readonly isolated: boolean;
  /** Milliseconds; 240,000 unless said. */
  readonly timeout?: number;
}

/**
 * Opens a page and waits until it has posted to `posted/done`.
 * @returns everything that it posted, by the rest of the path
 * @throws if it posts to `posted/failed`, with what it says there, or after `timeout` milliseconds
 */
export async function browse(
  chromium: string,
  served: Served,
  { page, isolated, timeout = 240_000 }: PageOptions,
): Promise<ReadonlyMap<string, Buffer>> {
  const posted = new Map<string, Buffer>();
  const profile = await mkdtemp(join(tmpdir(), "glora-chromium-"));
  let browser: ChildProcess | undefined;
  let messages = "";
  let timer: NodeJS.Timeout | undefined;
  const headers = isolated
    ? { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" }
    : {};
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      const end = (problem: string) => reject(new Error(`${problem}\n${messages.slice(-4000)}`));
      timer = setTimeout(
        () => end(`The page has not ended after ${timeout} ms; it posted ${[...posted.keys()]}.`),
        timeout,
      );
      server.on("request", async (request, response) => {
        const path = decodeURIComponent(new URL(request.url!, "http://localhost").pathname).slice(1);
        if (request.method === "POST") {
          const name = path.replace(/^posted\//, "");
          posted.set(name, Buffer.concat(await request.toArray()));
          response.writeHead(204, headers).end();
          if (name === "done") resolve();
          if (name === "failed") end(String(posted.get("failed")));
          return;
        }
        const found = served.get(path);
        const type = TYPES[path.split(".").at(-1)!] ?? "application/octet-stream";
        if (found === undefined) response.writeHead(404, headers).end();
        else
          response
            .writeHead(200, { ...headers, "Content-Type": type })
            .end(found instanceof URL ? await readFile(found) : found);
      });
      server.listen(0, "localhost", () => {
        const { port } = server.address() as AddressInfo;
        browser = spawn(chromium, [...FLAGS, `--user-data-dir=${profile}`, `http://localhost:${port}/${page}`]);
        browser.stderr!.on("data", (text) => {
          messages += text;
        });
        browser.on("error", (error) => end(`${chromium} cannot be started: ${error.message}`));
        browser.on("exit", (code) => end(`${chromium} ended with code ${code}.`));
      });
    });
    return posted;
  } finally {
    clearTimeout(timer);
    server.closeAllConnections();
    server.close();
    if (browser && browser.exitCode === null) {
      const ended = new Promise((resolve) => browser!.once("close", resolve));
      browser.kill();
      await ended;
    }
    await rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}
