import { existsSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { GloraError } from "../../base/errors.js";
import type { Tensor } from "../../base/tensor.js";
import type { Builder } from "../../ir/builder.js";
import type { TensorData, WeightSource } from "../../ir/graph.js";
import { createBuilder } from "../../ops/index.js";
import type { DeviceName, Runtime, Session } from "../runtime.js";
import { createNodeRuntime } from "./node-runtime.node.js";

const folder = mkdtempSync(join(tmpdir(), "glora-runtime-"));
const runtime: Runtime = await createNodeRuntime();
afterAll(async () => {
  await runtime.dispose();
  rmSync(folder, { recursive: true, force: true });
});

const float32 = (shape: number[], values: Iterable<number>): Tensor => ({
  dtype: "float32",
  shape,
  data: Float32Array.from(values),
});
const bool = (value: boolean): Tensor => ({ dtype: "bool", shape: [], data: Uint8Array.of(value ? 1 : 0) });
const inline = (...values: number[]): TensorData => ({
  kind: "inline",
  dtype: "float32",
  bytes: new Uint8Array(Float32Array.from(values).buffer),
});

async function openGraph(build: (g: Builder) => void, name?: string): Promise<Session> {
  const g = createBuilder();
  build(g);
  return runtime.open(g.graph, name === undefined ? {} : { name });
}

/** y = x·Wᵀ + b with W = [[1, 2, 3], [4, 5, 6]] and b = [10, 20]. */
const linear = (g: Builder): void => {
  const x = g.input("x", "float32", ["batch", 3]);
  const w = g.initializer("w", [2, 3], inline(1, 2, 3, 4, 5, 6));
  g.output("y", g.linear(x, w, g.initializer("b", [2], inline(10, 20))));
};
const expected = [[16, 35], [11, 24]] as const; // biome-ignore format: rows of x·Wᵀ + b for [1, 1, 1] and [1, 0, 0]

test("one session serves every batch, the empty one included", async () => {
  const session = await openGraph(linear);
  const run = async (rows: readonly number[][]) =>
    (await session.run({ x: float32([rows.length, 3], rows.flat()) }))["y"];
  expect(await run([[1, 1, 1], [1, 0, 0]])).toEqual(float32([2, 2], expected.flat())); // biome-ignore format: rows
  expect(await run([[1, 0, 0]])).toEqual(float32([1, 2], expected[1]));
  expect(await run([])).toEqual(float32([0, 2], []));
});

test("an input may be a view, and stays the caller's", async () => {
  const session = await openGraph(linear);
  const whole = Float32Array.of(9, 9, 1, 0, 0, 9);
  const x = { dtype: "float32", shape: [1, 3], data: whole.subarray(2, 5) } as const;
  const running = session.run({ x });
  whole.fill(0); // after the call, what it was given does not matter
  expect((await running)["y"]?.data).toEqual(Float32Array.from(expected[1]));
  expect(whole).toHaveLength(6);
});

test("each branch of an If, and outputs by name", async () => {
  const session = await openGraph((g) => {
    const x = g.input("x", "float32", ["batch"]);
    const two = g.scalar(2);
    const [y] = g.if(
      g.input("double", "bool", []),
      (b) => [b.mul(x, two)],
      () => [x],
    );
    g.output("y", y!);
    g.output("same", y!);
    g.output("x again", x);
  });
  const x = float32([2], [1, 3]);
  const doubled = float32([2], [2, 6]);
  expect(await session.run({ x, double: bool(true) })).toEqual({ y: doubled, same: doubled, "x again": x });
  expect(await session.run({ x, double: bool(false) }, { outputs: ["same"] })).toEqual({ same: x });
});

test("int32, int64 and bool go in and out", async () => {
  const tensors: Tensor[] = [
    { dtype: "int32", shape: [2], data: Int32Array.of(-1, 7) },
    { dtype: "int64", shape: [2], data: BigInt64Array.of(2n ** 40n, -7n) },
    { dtype: "bool", shape: [2], data: Uint8Array.of(1, 0) },
  ];
  const session = await openGraph((g) => {
    for (const { dtype } of tensors) g.output(`${dtype} out`, g.input(dtype, dtype, ["n"]));
  });
  const feeds = Object.fromEntries(tensors.map((t) => [t.dtype, t]));
  expect(await session.run(feeds)).toEqual(Object.fromEntries(tensors.map((t) => [`${t.dtype} out`, t])));
});

test("the same bits on every run, and in another session", async () => {
  const size = 200;
  const x = float32(
    [size, size],
    Array.from({ length: size * size }, (_, i) => Math.sin(i)),
  );
  const build = (g: Builder): void => {
    const value = g.input("x", "float32", ["rows", size]);
    g.output("y", g.reduceSum(g.matmul(g.softmax(g.matmul(value, value, { transB: true })), value), [0]));
  };
  const [first, second] = [await openGraph(build), await openGraph(build)];
  const once = await first.run({ x });
  expect(await first.run({ x })).toEqual(once);
  expect(await second.run({ x })).toEqual(once);
});

test("the main thread is free while a step runs", async () => {
  const size = 1024;
  const session = await openGraph((g) => {
    let y = g.input("x", "float32", [size, size]);
    for (let i = 0; i < 60; i++) y = g.matmul(y, y);
    g.output("y", g.reduceSum(y, [0, 1]));
  });
  let ticks = 0;
  const timer = setInterval(() => ticks++, 5);
  const started = performance.now();
  await session.run({ x: float32([size, size], new Float32Array(size * size)) });
  clearInterval(timer);
  expect(performance.now() - started).toBeGreaterThan(50); // or the test says nothing
  expect(ticks).toBeGreaterThan(5);
});

// Weights in files.

const weights = Float32Array.of(1, 2, 3, 4, 5, 6);
const OFFSET = 1003; // odd, as a safetensors header may leave it

function fileOf(name: string): WeightSource & { path: string } {
  const path = join(folder, name);
  writeFileSync(path, Buffer.concat([Buffer.alloc(OFFSET, 0xab), new Uint8Array(weights.buffer)]));
  const read = async (offset: number, length: number): Promise<Uint8Array> => {
    const file = await open(path);
    const bytes = new Uint8Array(length);
    await file.read(bytes, 0, length, offset);
    await file.close();
    return bytes;
  };
  return { name, path, read };
}
const external = (source: WeightSource, first: number, count: number): TensorData => ({
  ...{ kind: "external", dtype: "float32", source, offset: OFFSET + 4 * first, length: 4 * count },
});

/** y = x·Wᵀ + b with weights from `w` and `b`. */
const linearOf = (w: WeightSource, b: WeightSource) => (g: Builder) => {
  const x = g.input("x", "float32", ["batch", 2]);
  g.output("y", g.linear(x, g.initializer("w", [2, 2], external(w, 0, 4)), g.initializer("b", [2], external(b, 4, 2))));
};
const onesTimesWeights = [1 + 2 + 5, 3 + 4 + 6];

test("weights lie at any offset of any file, behind a link, or in memory", async () => {
  const [first, second] = [fileOf("first.safetensors"), fileOf("second.safetensors")];
  const link = join(folder, "link.safetensors");
  symlinkSync(first.path, link);
  const memory: WeightSource = { name: "memory", read: first.read };
  for (const [w, b] of [
    [first, second],
    [{ ...first, path: link }, first],
    [memory, second],
  ] as const) {
    // biome-ignore format: pairs
    const session = await openGraph(linearOf(w, b));
    const result = await session.run({ x: float32([1, 2], [1, 1]) });
    expect([...result["y"]!.data]).toEqual(onesTimesWeights);
    await session.dispose();
  }
});

test("a weight in 16 bits is widened where it is used", async () => {
  const bytes = new Uint8Array(Uint16Array.of(0x3fc0, 0xc000).buffer); // 1.5 and −2 in bfloat16
  const session = await openGraph((g) => {
    const w = g.initializer("w", [2], { kind: "inline", dtype: "bfloat16", bytes }, "float32");
    g.output("y", g.mul(g.input("x", "float32", [2]), w));
  });
  expect((await session.run({ x: float32([2], [2, 2]) }))["y"]?.data).toEqual(Float32Array.of(3, -4));
});

test("a file that is cut or gone is one clear error", async () => {
  const cut = fileOf("cut.safetensors");
  truncateSync(cut.path, OFFSET + 23);
  await expect(openGraph(linearOf(cut, cut))).rejects.toThrow(
    'cut.safetensors: has 1026 bytes, but "b" needs those from 1019 to 1027. The file may be truncated; fetch it again.',
  );
  const gone = { ...cut, path: join(folder, "gone.safetensors") };
  await expect(openGraph(linearOf(gone, gone))).rejects.toThrow("cut.safetensors: cannot be opened: ENOENT");
  await expect(openGraph(linearOf(gone, gone))).rejects.toMatchObject({ code: "FILE" });
});

// Order of events.

/** A session whose step takes some time. */
const slow = (): Promise<Session> =>
  openGraph((g) => {
    let y = g.input("x", "float32", ["n", 768]);
    for (let i = 0; i < 20; i++) y = g.matmul(y, y, { transA: true });
    g.output("y", g.reduceSum(y, [0, 1]));
  });
const slowInput = { x: float32([768, 768], new Float32Array(768 * 768)) };
const aborted = { name: "GloraError", code: "ABORTED" };

test("an aborted run rejects after it has ended; those that wait are dropped, others are not", async () => {
  const session = await slow();
  const controller = new AbortController();
  const events: string[] = [];
  const started = performance.now();
  const whole = await session.run(slowInput).then(() => performance.now() - started);
  const o = { signal: controller.signal };
  const running = session.run(slowInput, o).catch((error) => events.push(`running ${error.code}`));
  const queued = session.run(slowInput, o).catch((error) => events.push(`queued ${error.code}`));
  const other = session.run(slowInput).then(() => events.push("other done"));
  setTimeout(() => controller.abort(), whole / 4);
  await Promise.all([running, queued, other]);
  expect(events).toEqual(["running ABORTED", "queued ABORTED", "other done"]);
  await expect(session.run(slowInput, o)).rejects.toMatchObject(aborted);
});

test("dispose waits for runs, can be repeated, and ends the session", async () => {
  const own = await createNodeRuntime({ threads: 1 });
  const g = createBuilder();
  linear(g);
  const session = await own.open(g.graph, { name: "small", keepArena: true });
  const x = float32([1, 3], [1, 0, 0]);
  const running = session.run({ x });
  await Promise.all([session.dispose(), session.dispose()]);
  expect((await running)["y"]?.data).toEqual(Float32Array.from(expected[1]));
  await expect(session.run({ x })).rejects.toThrow("small: the session has been disposed.");
  const other = await own.open(g.graph);
  const last = other.run({ x });
  await Promise.all([own.dispose(), own.dispose()]);
  await expect(last).resolves.toHaveProperty("y");
  await expect(other.run({ x })).rejects.toThrow("The runtime has been disposed.");
  await expect(own.open(g.graph)).rejects.toMatchObject({ code: "USAGE" });
  await other.dispose();
});

// Errors.

test("a graph that is not well formed is refused before it reaches the device", async () => {
  const build = (g: Builder): void => {
    g.output("y", { name: "nowhere", type: { dtype: "float32", shape: [] } });
  };
  await expect(openGraph(build)).rejects.toThrow('graph: nothing computes "nowhere", the output "y".');
});

test("what ONNX Runtime says about a failed run comes with the session's name", async () => {
  const session = await openGraph((g) => {
    const [x, rows] = [g.input("x", "float32", ["n"]), g.input("rows", "int32", [1])];
    g.output("y", g.gather(x, rows, 0));
  }, "lookup");
  const rows: Tensor = { dtype: "int32", shape: [1], data: Int32Array.of(5) };
  const failed = session.run({ x: float32([2], [1, 2]), rows });
  await expect(failed).rejects.toThrow(/^lookup: the run failed: .*Gather.*out of data bounds/s);
  await expect(failed).rejects.toBeInstanceOf(GloraError);
});

test("devices that cannot be had", async () => {
  expect(runtime).toMatchObject({ device: "cpu", reason: "cpu was asked for" });
  await expect(createNodeRuntime({ device: "tpu" as DeviceName })).rejects.toThrow('No device is called "tpu"');
  await expect(createNodeRuntime({ threads: 0 })).rejects.toThrow("The number of threads must be 1 or more, not 0.");
});

test("auto says what it took and why", async () => {
  const auto = await createNodeRuntime({ device: "auto", threads: 1 });
  expect(["cpu", "cuda", "webgpu"]).toContain(auto.device);
  expect(auto.reason).toMatch(new RegExp(`^auto took ${auto.device}: \\S+ GFLOP/s`));
  await auto.dispose();
});

// Where there is a GPU for CUDA, this says nothing.
test.skipIf(existsSync("/dev/nvidia0"))(
  "cuda without its libraries says what to install, and the next runtime starts",
  async () => {
    const starting = createNodeRuntime({ device: "cuda" });
    await expect(starting).rejects.toMatchObject({ code: "DEVICE", details: { device: "cuda" } });
    await expect(starting).rejects.toThrow(
      /^The device "cuda" cannot be used: .*ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild/,
    );
    await (await createNodeRuntime()).dispose();
  },
);

test("wasm refuses weights that it cannot hold before a byte of them is read", async () => {
  const wasm = await createNodeRuntime({ device: "wasm", threads: 1 });
  const g = createBuilder();
  const read = () => Promise.reject(new Error("it was read"));
  const count = 900_000_000;
  const data: TensorData = {
    ...{ kind: "external", dtype: "float32", offset: 0, length: 4 * count },
    source: { name: "large", read },
  };
  g.output("y", g.mul(g.input("x", "float32", []), g.initializer("w", [count], data)));
  await expect(wasm.open(g.graph, { name: "step" })).rejects.toThrow(
    /^step: its weights take 3\.4 GiB\. On the device wasm they must fit in \d\.\d GiB, .* Use the device cpu, or a smaller model\.$/,
  );
  await wasm.dispose();
});

// Memory.

/** What is known grows by x, and `sum` adds it all up: a running sum. */
async function runningSum(packWeights: boolean): Promise<Session> {
  const g = createBuilder();
  const x = g.input("x", "float32", ["rows", "width"]);
  const known = g.input("known", "float32", ["before", "width"]);
  const bytes = new Uint8Array(Uint16Array.of(0x4000).buffer); // 2 in bfloat16
  const two = g.initializer("two", [1], { kind: "inline", dtype: "bfloat16", bytes }, "float32");
  g.output("sum", g.mul(g.reduceSum(g.concat([known, x], 0), [0]), two));
  g.output("new", x);
  return runtime.open(g.graph, { name: "sum", memory: { known: "new" }, packWeights });
}

test.each([true, false])(
  "an input that the session feeds itself grows, is cut, and begins anew (packed %s)",
  async (packed) => {
    const session = await runningSum(packed);
    const add = async (width: number, values: number[], remember?: number) => {
      const feeds = { x: float32([values.length / width, width], values) };
      const outputs = await session.run(feeds, remember === undefined ? {} : { remember });
      expect(Object.keys(outputs)).toEqual(["sum"]);
      return [...outputs["sum"]!.data];
    };
    expect(await add(2, [1, 2])).toEqual([2, 4]);
    expect(await add(2, [3, 4, 5, 6])).toEqual([18, 24]);
    expect(await add(2, [1, 1], 2)).toEqual([10, 14]); // [1, 2] and [3, 4] are remembered
    expect(await add(2, [1, 1])).toEqual([12, 16]);
    expect(await add(3, [1, 2, 3], 0)).toEqual([2, 4, 6]); // rows of another shape
    await expect(add(3, [1, 2, 3], 2)).rejects.toThrow(
      'sum: the run failed: 2 rows of "known" are to be remembered, and there are 1.',
    );
    await expect(add(6, [1, 2, 3, 4, 5, 6])).rejects.toThrow('"known" does not remember 1 rows of [6].');
    await expect(session.run({ x: float32([1, 1], [1]), known: float32([0, 1], []) })).rejects.toThrow(
      'there is no input "known"',
    );
    await session.dispose();
  },
);
