#!/usr/bin/env node
import { runCli } from "./cli.js";

// Whoever reads our output may stop reading: `glora inspect … | head`.
for (const stream of [process.stdout, process.stderr])
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit();
  });

process.exitCode = await runCli(process.argv.slice(2), process);
