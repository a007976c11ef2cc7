import { openModel } from "../../models/open.node.js";
import { devices as all, type DeviceReport } from "../../runtime/devices.js";
import { probeDevice } from "../../runtime/node/probe.node.js";
import { physicalCores } from "../../runtime/node/threads.node.js";
import { defineCommand } from "../command.js";
import { checkDevice, type DeviceCheck } from "../device-check.js";
import { option, optionOr } from "../options.js";
import { table } from "../table.js";
import { oneOf, parseText } from "../values.js";

export const devices = defineCommand({
  name: "devices",
  summary: "Show the devices that graphs can run on here, how fast each multiplies, and what the others lack.",
  details:
    "The rate is that of a product of two float32 matrices of 1024 rows and columns (256 on a slow device), measured in a " +
    "process of its own. With --check a training step of a model runs on each device and on the CPU, and their gradients are " +
    "compared: a few millionths of the largest is rounding.",
  arguments: {},
  options: {
    device: optionOr("all", "name", "the device to try: cpu, cuda, webgpu, wasm, or all", oneOf(["all", ...all])),
    check: option("model", "folder of a model whose training step is compared with the CPU's", parseText),
  },
  examples: [
    { command: "glora devices", text: "What is usable here" },
    {
      command: "glora devices --device wasm --check models/vit-micro --json",
      text: "Whether it computes as the CPU does",
    },
  ],
  async run({ device, check }, context) {
    const threads = physicalCores();
    const reports: DeviceReport[] = [];
    for (const each of device === "all" ? all : [device]) {
      context.signal.throwIfAborted();
      reports.push(await probeDevice(each, threads));
    }
    const checks: DeviceCheck[] = [];
    for (const report of reports) {
      context.signal.throwIfAborted();
      if (check !== undefined && report.usable)
        checks.push(await checkDevice((on) => openModel(check, { device: on }), report.device));
    }
    context.emit({ threads, node: process.version, devices: reports, ...(check !== undefined && { checks }) });
    context.print(reportTable(reports));
    context.print(`\n${threads} ${threads === 1 ? "thread" : "threads"}, Node.js ${process.version}`);
    for (const report of reports)
      if (!report.usable) context.print(`\n${report.device}: ${report.problem}. ${report.advice}`);
    if (checks.length > 0) context.print(`\n${checkTable(checks)}`);
  },
});

const reportTable = (reports: readonly DeviceReport[]): string =>
  table(
    ["device", { title: "GFLOP/s", align: "right" }, { title: "product of", align: "right" }, "runs on"],
    reports.map((report) =>
      report.usable
        ? [report.device, report.gflops.toPrecision(3), `${report.size}³`, report.library]
        : [report.device, "–", "–", "cannot be used"],
    ),
  );

const checkTable = (checks: readonly DeviceCheck[]): string =>
  table(
    [
      "device",
      "model",
      { title: "gradients", align: "right" },
      { title: "largest difference", align: "right" },
      { title: "of the loss", align: "right" },
      { title: "step", align: "right" },
      { title: "on the CPU", align: "right" },
    ],
    checks.map((c) => [
      c.device,
      c.model,
      c.gradients,
      c.gradientDifference.toExponential(1),
      c.lossDifference.toExponential(1),
      `${(1000 * c.seconds).toFixed(0)} ms`,
      `${(1000 * c.cpuSeconds).toFixed(0)} ms`,
    ]),
  );
