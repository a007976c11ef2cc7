/** Every device beside the CPU: sessions with all their options, training steps of models, a whole fit. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Tensor } from "../../base/tensor.js";
import { checkDevice } from "../../cli/device-check.js";
import { openFile } from "../../formats/file.node.js";
import type { TensorData, WeightSource } from "../../ir/graph.js";
import { openModel } from "../../models/open.node.js";
import { createBuilder } from "../../ops/index.js";
import { fit } from "../../search/fit.js";
import { openTiny, TINY_LABELS, tinyData } from "../../training/tiny.fixtures.js";
import type { Device, Runtime } from "../runtime.js";
import { createNodeRuntime } from "./node-runtime.node.js";
import { noWebgpu } from "./vulkan.fixtures.js";

const folder = mkdtempSync(join(tmpdir(), "glora-devices-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const float32 = (shape: number[], values: number[]): Tensor => ({
  dtype: "float32",
  shape,
  data: Float32Array.from(values),
});

const OFFSET = 1003; // odd, as a safetensors header may leave it
/** 1.5, −2, 0.25 and 3 as they are stored. */
const stored = {
  float32: new Uint8Array(Float32Array.of(1.5, -2, 0.25, 3).buffer),
  float16: new Uint8Array(Uint16Array.of(0x3e00, 0xc000, 0x3400, 0x4200).buffer),
  bfloat16: new Uint8Array(Uint16Array.of(0x3fc0, 0xc000, 0x3e80, 0x4040).buffer),
};
async function fileOf(dtype: keyof typeof stored): Promise<WeightSource> {
  const path = join(folder, `${dtype}.bin`);
  writeFileSync(path, Buffer.concat([Buffer.alloc(OFFSET, 0xab), stored[dtype]]));
  return openFile(path);
}
const external = (source: WeightSource, dtype: keyof typeof stored): TensorData => ({
  ...{ kind: "external", dtype, source, offset: OFFSET, length: stored[dtype].length },
});
const inMemory = ({ name, read }: WeightSource): WeightSource => ({ name, read });

describe.each<Device>(["cpu", "wasm", "webgpu"])("%s", (device) => {
  describe.skipIf(device === "webgpu" && noWebgpu)("", () => {
    let runtime: Runtime;
    beforeAll(async () => {
      runtime = await createNodeRuntime({ device, threads: 1 });
    });
    afterAll(() => runtime.dispose());

    test("says what it is, and how much memory it may take", () => {
      expect(runtime).toMatchObject({ device, reason: `${device} was asked for` });
      if (device === "webgpu") expect(runtime.memory).toBeUndefined();
      else expect(runtime.memory).toBeGreaterThan(2 ** 28);
      if (device === "wasm") expect(runtime.memory).toBeLessThanOrEqual(3 * 2 ** 30);
    });

    test.each([false, true])("weights of 16 and 32 bits, in files and in memory (packed %s)", async (packWeights) => {
      for (const place of [(source: WeightSource) => source, inMemory]) {
        const g = createBuilder();
        const x = g.input("x", "float32", ["n", 2]);
        const weight = async (dtype: keyof typeof stored) =>
          g.initializer(dtype, [2, 2], external(place(await fileOf(dtype)), dtype), "float32");
        const wide = g.linear(x, await weight("float32"));
        const half = g.linear(wide, await weight("float16"));
        g.output("y", g.linear(half, await weight("bfloat16")));
        const session = await runtime.open(g.graph, { packWeights });
        // W = [[1.5, −2], [0.25, 3]] three times, exact in all three types: [1, 2] → [−2.5, 6.25] → [−16.25, 18.125] → …
        const { y } = await session.run({ x: float32([1, 2], [1, 2]) });
        expect(y).toEqual(float32([1, 2], [1.5 * -16.25 - 2 * 18.125, 0.25 * -16.25 + 3 * 18.125]));
      }
    });

    test("int64 goes in and is counted with; the array that was fed stays as it is", async () => {
      const g = createBuilder();
      const ids = g.input("ids", "int64", ["n"]);
      const table = g.input("table", "float32", [4, 1]);
      const known = g.greater(ids, g.constant("int64", [], [0]));
      const rows = g.reshape(g.gather(table, g.sub(ids, g.cast(known, "int64")), 0), ["n"]);
      g.output("y", g.mul(rows, g.cast(known, "float32")));
      const session = await runtime.open(g.graph);
      const data = BigInt64Array.of(0n, 4n, 1n);
      const fed = { ids: { dtype: "int64", shape: [3], data } as const, table: float32([4, 1], [10, 20, 30, 40]) };
      expect((await session.run(fed))["y"]).toEqual(float32([3], [0, 40, 10]));
      expect([...data]).toEqual([0n, 4n, 1n]);
    });

    test("an input that the session feeds itself grows, is cut, and begins anew", async () => {
      const g = createBuilder();
      const x = g.input("x", "float32", ["rows", "width"]);
      const known = g.input("known", "float32", ["before", "width"]);
      const all = g.concat([known, x], 0);
      g.output("sum", g.reduceSum(all, [0]));
      // A shape that depends on what is remembered.
      g.output("ones", g.expand(g.scalar(1), ["before + rows"]));
      g.output("new", x);
      const session = await runtime.open(g.graph, { memory: { known: "new" } });
      const add = async (values: number[], remember?: number) => {
        const feeds = { x: float32([values.length / 2, 2], values) };
        const { sum, ones } = await session.run(feeds, remember === undefined ? {} : { remember });
        return [...sum!.data, ones!.shape[0]];
      };
      expect(await add([1, 2])).toEqual([1, 2, 1]);
      // The second is asked for before the first has ended.
      expect(await Promise.all([add([3, 4, 5, 6]), add([1, 1])])).toEqual([[9, 12, 3], [10, 13, 4]]); // biome-ignore format: pairs
      expect(await add([1, 1], 2)).toEqual([5, 7, 3]);
      await expect(add([1, 1], 9)).rejects.toThrow('9 rows of "known" are to be remembered, and there are 3.');
      expect(await add([0, 0])).toEqual([5, 7, 4]);
      expect(await add([1, 1], 0)).toEqual([1, 1, 1]);
    });

    test("a failed run says why, and the next one runs", async () => {
      const g = createBuilder();
      const [x, y] = [g.input("x", "float32", ["n"]), g.input("y", "float32", ["m"])];
      g.output("z", g.add(g.reshape(x, ["n", 1]), g.reshape(y, [1, "m"])));
      const session = await runtime.open(g.graph, { name: "sums" });
      await expect(session.run({ x: float32([1], [1]) })).rejects.toThrow('sums: input "y" must be float32[m]');
      const run = () => session.run({ x: float32([1], [1]), y: float32([2], [1, 2]) });
      expect((await run())["z"]).toEqual(float32([1, 2], [2, 3]));
      await session.dispose();
      await expect(run()).rejects.toThrow("sums: the session has been disposed.");
    });

    if (device === "cpu") return;

    test("empty tensors: as on the CPU, or refused", async () => {
      const g = createBuilder();
      const x = g.input("x", "float32", ["n", 2]);
      g.output("y", g.matmul(x, x, { transA: true }));
      const session = await runtime.open(g.graph, { name: "products" });
      const running = session.run({ x: float32([0, 2], []) });
      if (device === "webgpu")
        await expect(running).rejects.toThrow(
          'products: input "x" is empty ([0, 2]), which the device webgpu cannot compute with. Leave this run out, or use the device cpu.',
        );
      else expect((await running)["y"]).toEqual(float32([2, 2], [0, 0, 0, 0]));
    });

    // Sums of some hundred products in another order: roundings of 6e-8 that grow with the depth of a model, relative to the
    // largest number of a gradient. Measured: at most 1.2e-6 (see docs/devices.md).
    const TOLERANCE = 1e-5;
    const tiny = async (on: Device) =>
      (await openTiny(await createNodeRuntime({ device: on, threads: 1 }))).withTask(classes);
    const classes = { kind: "classes", labels: TINY_LABELS } as const;
    test("a training step of a ViT has the CPU's loss and gradients", async () => {
      const found = await checkDevice(tiny, device);
      expect(found.gradients).toBeGreaterThan(1000);
      expect(found.lossDifference).toBeLessThan(TOLERANCE);
      expect(found.gradientDifference).toBeLessThan(TOLERANCE);
      expect(found.lossDifference + found.gradientDifference).toBeGreaterThan(0); // or it is the CPU itself
    });

    const stories = fileURLToPath(new URL("../../../../shared/data/models/stories260K-hf", import.meta.url));
    test.skipIf(!existsSync(stories))("a training step of a LLaMA (stories260K) has them too", async () => {
      const found = await checkDevice((on) => openModel(stories, { device: on }), device);
      expect(found.lossDifference).toBeLessThan(TOLERANCE);
      expect(found.gradientDifference).toBeLessThan(TOLERANCE);
    });

    test("a whole fit finds the structure, the parameters and the accuracy that it finds on the CPU", async () => {
      const o = {
        ...{ rank: 2, budget: 100, layers: ["*.attn.proj"], seed: 3 },
        train: { epochs: 1, batchSize: 8, learningRate: 0.01, validateEvery: 1 },
        search: { population: 3, generations: 1, parents: 2, mutants: 1, crossovers: 1, finalists: 1 },
        further: { epochs: 1, validateEvery: 1 },
      };
      const cpu = await createNodeRuntime({ threads: 1 });
      const expected = await fit(await openTiny(cpu), tinyData(), o);
      await cpu.dispose();
      // With the CPU's plan, so that nothing is measured.
      const found = await fit(await openTiny(runtime), tinyData(), { ...o, plan: expected.plan });
      expect(found.genome).toEqual(expected.genome);
      expect(found.test).toMatchObject({ accuracy: expected.test!.accuracy, examples: 9 });
      // Adam's first steps move a number by the rate in the direction of its gradient's sign, however small that is: a number
      // whose gradient is rounding alone may go the other way, by 2 · 0.01 a step. Six steps were taken: 0.06 is the longest way.
      // Rounding is some 2e-6 of the largest gradient, so that a number whose gradient is above a thousandth of that goes 0.2 %
      // further or less far: nine in ten stay within 0.5 %.
      const differences = found.adapted.parameters.map((v, i) => Math.abs(v - expected.adapted.parameters[i]!));
      expect(Math.max(...differences)).toBeLessThan(6 * 0.02);
      expect([...differences].sort((a, b) => a - b)[Math.floor(0.9 * differences.length)]).toBeLessThan(0.005 * 0.06);
      expect(found.test!.loss).toBeCloseTo(expected.test!.loss, 3);
    });
  });
});
