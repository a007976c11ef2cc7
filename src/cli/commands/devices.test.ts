import { expect, test } from "vitest";
import { embeddedModel } from "../../models/embedded.node.js";
import { typed } from "../cli.fixtures.js";

test("a device as a table, and its step beside the CPU's", async () => {
  const { code, stdout } = await typed(["devices", "--device", "wasm", "--check", embeddedModel]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^device +GFLOP\/s +product of +runs on\nwasm +[\d.]+ +\d+³ +onnxruntime-web 1\.\d+\.\d+\n/);
  expect(stdout).toMatch(/\n\d+ threads?, Node\.js v\d+/);
  expect(stdout).toMatch(/\ndevice +model +gradients +largest difference +of the loss +step +on the CPU\nwasm /);
});

test("--json: reports and checks; a model that is not there is an error", async () => {
  const { stdout } = await typed(["devices", "--device", "cpu", "--check", embeddedModel, "--json"]);
  const found = JSON.parse(stdout);
  expect(found.devices).toMatchObject([{ device: "cpu", usable: true }]);
  // The CPU beside itself: the same bits.
  expect(found.checks).toMatchObject([{ device: "cpu", lossDifference: 0, gradientDifference: 0 }]);
  expect(found.checks[0].gradients).toBeGreaterThan(1000);
  expect((await typed(["devices", "--device", "cpu", "--check", "/nowhere"])).code).toBe(1);
});

test("a device that does not exist", async () => {
  const { code, stderr } = await typed(["devices", "--device", "tpu"]);
  expect(code).toBe(2);
  expect(stderr).toContain("tpu");
});

test("a command that was left to choose a device says once which it took, and why", async () => {
  const { code, stderr } = await typed(["inspect", embeddedModel, "--device", "auto"]);
  expect(code).toBe(0);
  expect(stderr.match(/auto took \w+: \S+ GFLOP\/s/g)).toHaveLength(1);
  expect((await typed(["inspect", embeddedModel])).stderr).not.toContain("took");
});
