import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { rngStream } from "../base/rng.js";
import { openFile } from "./file.node.js";
import { readBytes, readSafetensors, type TensorEntry } from "./safetensors.js";
import { memorySource } from "./source.js";
import { readTorch } from "./torch.js";
import { withoutChecksums } from "./zip.fixtures.js";

// Written by torch.save: scripts/fixtures/weight-files.py.
const fixtures = "test/fixtures/weight-files/";
const open = async (file: string) => (await readTorch(await openFile(fixtures + file, file))).tensors;
const bytes = (file: string): Uint8Array => new Uint8Array(readFileSync(fixtures + file));
const refusal = async (content: Uint8Array) => readTorch(memorySource("x.pth", content)).catch((thrown) => thrown);

test.each(["plain.pth", "nested.pth", "stream.pth"])(
  "%s: every tensor has PyTorch's type, shape and bytes",
  async (file) => {
    const found = await open(file);
    const { tensors } = await readSafetensors(await openFile(`${fixtures}expected.safetensors`));
    expect([...found.keys()].sort()).toEqual([...tensors.keys()].sort());
    for (const [name, entry] of found) {
      const expected = tensors.get(name)!;
      expect(entry, name).toMatchObject({
        name,
        dtype: expected.dtype,
        shape: expected.shape,
        length: expected.length,
      });
      expect(Buffer.compare(await readBytes(entry), await readBytes(expected)), name).toBe(0);
      expect(entry.source.name, name).toBe(file);
    }
  },
);

test("what has no gaps stays where it lies, views and shared bytes too; other strides are rearranged in memory", async () => {
  for (const file of ["plain.pth", "stream.pth"]) {
    const found = await open(file);
    const at = (name: string): TensorEntry => found.get(name)!;
    const inPlace = [...found.values()].filter(({ source }) => source.path !== undefined).map(({ name }) => name);
    const moved = ["transposed", "column", "permuted", "bfloat16_transposed", "float64_transposed"];
    expect(inPlace).toEqual([...found.keys()].filter((name) => !moved.includes(name)));
    expect(at("shared").offset).toBe(at("whole").offset);
    expect(at("rows").offset).toBe(at("whole").offset + 6 * 4);
    if (file === "plain.pth") expect(at("whole").offset % 64).toBe(0);
  }
});

test("weights of an average go before the others, and DataParallel's prefix is taken off", async () => {
  const { tensors, notes } = await readTorch(memorySource("x.pt", bytes("parallel.pt")));
  expect([...tensors.keys()]).toEqual(["whole", "rows"]);
  expect(notes).toEqual([
    'x.pt: "state_dict_ema" is read; it also holds tensors under "state_dict", which are not used.',
  ]);
  for (const alone of ["plain.pth", "nested.pth"])
    expect((await readTorch(memorySource("x", bytes(alone)))).notes).toEqual([]);
});

test("a state dict under a known name is read where tensors lie beside it; a note names those", async () => {
  const six = tensor(pair(2, 3), pair(3, 1));
  const training = file(
    `\x80\x02}(${short("loss")}${six}${short("model_state_dict")}}${short("w")}${six}s${short("epoch")}K\x01u.`,
  );
  const { tensors, notes } = await readTorch(memorySource("x.pth", training));
  expect([...tensors.keys()]).toEqual(["w"]);
  expect(notes).toEqual(['x.pth: "model_state_dict" is read; it also holds tensors under "loss", which are not used.']);
});

// @see timm/models/_helpers.py, clean_state_dict
test.each(["module.w", "_orig_mod.w", "_orig_mod.module.w", "module._orig_mod.w"])(
  "%s: what wraps a model is taken off",
  async (name) => {
    const wrapped = file(named(tensor(pair(2, 3), pair(3, 1)), name));
    expect([...(await readTorch(memorySource("x.pth", wrapped))).tensors.keys()]).toEqual(["w"]);
  },
);

test("a whole module is refused by its class", async () => {
  await expect(open("object.pth")).rejects.toMatchObject({
    code: "FILE",
    message:
      "object.pth: cannot be read as PyTorch's weights: it holds a whole object (torch.nn.modules.linear.Linear) in place " +
      "of a state dict. Nothing in it was run. If you trust it, store the weights alone in Python: torch.save(model.state_dict(), file).",
  });
});

/** A file of the old format around a pickle. */
function stream(
  pickle: string | Uint8Array,
  keys: string = "\x80\x02].",
  rest: Uint8Array = new Uint8Array(),
): Uint8Array {
  const magic = "\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";
  const machine = "\x80\x02}X\x0d\0\0\0little_endian\x88s.";
  const text = typeof pickle === "string" ? pickle : String.fromCharCode(...pickle);
  const start = `${magic}\x80\x02M\xe9\x03.${machine}${text}${keys}`;
  return Uint8Array.from([...Array.from(start, (c) => c.charCodeAt(0)), ...rest]);
}

const int = (value: number): string => `J${String.fromCharCode(...new Uint8Array(new Int32Array([value]).buffer))}`;
const short = (text: string): string => `X${String.fromCharCode(text.length)}\0\0\0${text}`;
const storage = (type = "FloatStorage", count = 6, part = "N"): string =>
  `(${short("storage")}ctorch\n${type}\n${short("0")}${short("cpu")}${int(count)}${part}tQ`;
const tensor = (shape: string, strides: string, offset = 0, of = storage()): string =>
  `ctorch._utils\n_rebuild_tensor_v2\n(${of}${int(offset)}${shape}${strides}\x89NtR`;
const pair = (a: number, b: number): string => `${int(a)}${int(b)}\x86`;
const named = (value: string, name = "w"): string => `\x80\x02}${short(name)}${value}s.`;
/** One storage of six float32 numbers: 0 … 5. */
const six = new Uint8Array(32);
six[0] = 6;
new Float32Array(six.buffer, 8).set([0, 1, 2, 3, 4, 5]);
const file = (pickle: string): Uint8Array => stream(pickle, `\x80\x02]${short("0")}a.`, six);

test("the files that the tests below spoil are well formed", async () => {
  const { tensors: found } = await readTorch(memorySource("x.pth", file(named(tensor(pair(2, 3), pair(3, 1))))));
  expect([...new Float32Array((await readBytes(found.get("w")!)).slice().buffer)]).toEqual([0, 1, 2, 3, 4, 5]);
  // A part of a storage, as PyTorch wrote it before 0.4.
  const part = tensor(
    `${int(2)}\x85`,
    `${int(1)}\x85`,
    1,
    storage("FloatStorage", 6, `(${short("1")}${int(2)}${int(3)}t`),
  );
  const { tensors: view } = await readTorch(memorySource("x.pth", file(named(part))));
  expect([...new Float32Array((await readBytes(view.get("w")!)).slice().buffer)]).toEqual([3, 4]);
});

test.each<[string, Uint8Array, string]>([
  ["nothing", new Uint8Array(), "it does not begin as a file of torch.save"],
  ["a text", new TextEncoder().encode("once upon a time"), "it does not begin as a file of torch.save"],
  ["another pickle", Uint8Array.of(0x80, 2, 0x4e, 0x2e), "it is a pickle, but not one of torch.save"],
  [
    "a call of os.system",
    file(`\x80\x02cos\nsystem\n${short("echo")}\x85R.`),
    "it calls os.system, which is not among the functions that lay out tensors (byte 23 of its pickle)",
  ],
  ["a call of eval", file(`\x80\x02c__builtin__\neval\n${short("1")}\x85R.`), "it calls __builtin__.eval, which"],
  ["a call by protocol 4", file(`\x80\x04${short("posix")}${short("system")}\x93)R.`), "it calls posix.system, which"],
  [
    "a quantized tensor",
    file(`\x80\x02ctorch._utils\n_rebuild_qtensor\n)R.`),
    "it calls torch._utils._rebuild_qtensor",
  ],
  [
    "an instance in its state dict",
    file(`\x80\x02}(${short("w")}${tensor(pair(2, 3), pair(3, 1))}${short("b")}cfoo\nBar\n)\x81u.`),
    '"b" in its state dict is no tensor, but foo.Bar',
  ],
  ["a call of no name", file("\x80\x02K\x01)R."), "what it calls is no function by name"],
  ["protocol 5", file("\x80\x05N."), "protocol 5 is not read"],
  ["an empty stack", file("\x80\x02."), "its stack is empty (byte 2 of its pickle)"],
  ["a mark that is missing", file("\x80\x02t."), "there is no mark"],
  ["a value below a mark", file("\x80\x02N(."), "its stack is empty"],
  ["an unknown memory", file("\x80\x02h\x07."), "nothing was remembered as 7"],
  ["keys of a list", file("\x80\x02]NNs."), "keys are set of what is no dictionary"],
  ["items of a dictionary", file("\x80\x02}Na."), "items are appended to what is no list"],
  ["a key without value", file("\x80\x02}(Nu."), "a key has no value"],
  ["a text that is no UTF-8", file("\x80\x02X\x01\0\0\0\xff."), "a text is not UTF-8"],
  [
    "a code that Python has not",
    file("\x80\x02\xff."),
    "0xff is an instruction that is not read (byte 2 of its pickle)",
  ],
  ["no dictionary", stream("\x80\x02N."), "it holds no dictionary"],
  ["no tensors", stream(`\x80\x02}${short("epoch")}K\x01s.`), 'it holds no tensors by name, but "epoch"'],
  [
    "two state dicts",
    file(
      `\x80\x02}(${["a", "b"].map((key) => short(key) + named(tensor(pair(2, 3), pair(3, 1))).slice(2, -1)).join("")}u.`,
    ),
    'it holds several dictionaries of tensors ("a", "b"), and none is called state_dict_ema or',
  ],
  [
    "a tensor by number",
    file(`\x80\x02}(${short("w")}${tensor(pair(2, 3), pair(3, 1))}K\x01${tensor(pair(2, 3), pair(3, 1))}u.`),
    "a tensor is named by 1, which is no text",
  ],
  [
    "a shape beyond",
    file(named(tensor(pair(2, 4), pair(4, 1)))),
    'tensor "w" [2,4] with offset 0 and strides [4,1] leaves its storage',
  ],
  ["an offset beyond", file(named(tensor(pair(2, 3), pair(3, 1), 1))), "offset 1 and strides [3,1] leaves its storage"],
  ["strides beyond", file(named(tensor(pair(2, 3), pair(4, 1)))), "leaves its storage"],
  ["strides of another length", file(named(tensor(pair(2, 3), `${int(1)}\x85`))), "has an impossible shape"],
  [
    "strides of a huge product",
    file(named(tensor(pair(2 ** 31 - 1, 2 ** 31 - 1), pair(0, 0)))),
    "has an impossible shape",
  ],
  ["a negative stride", file(named(tensor(pair(2, 3), pair(-3, 1)))), "a tensor is described by other things"],
  ["an expansion", file(named(tensor(pair(1000, 6), pair(0, 1)))), 'tensor "w" repeats elements'],
  // As torch.save writes a view whose numbers are the negatives of those stored: torch._neg_view(x).
  [
    "a negative view",
    file(named(tensor(pair(2, 3), pair(3, 1)).replace("\x89NtR", `\x89N}${short("neg")}\x88stR`))),
    'a tensor has metadata ("neg") that say it is not as stored',
  ],
  ["no storage", file(named(tensor(pair(2, 3), pair(3, 1), 0, "N"))), "a tensor is described by other things"],
  [
    "an unknown storage",
    file(named(tensor(pair(2, 3), pair(3, 1), 0, storage("QInt8Storage")))),
    "torch.QInt8Storage is not read",
  ],
  [
    "a storage of another module",
    file(named(tensor(pair(2, 3), pair(3, 1), 0, storage("FloatStorage").replace("ctorch", "cnumpy")))),
    "no storage",
  ],
  [
    "more than is stored",
    file(named(tensor(pair(2, 3), pair(3, 1), 0, storage("FloatStorage", 7)))),
    "lies in a storage of 28 bytes, of which the file has 24",
  ],
  [
    "another type than is stored",
    file(named(tensor(pair(2, 3), pair(3, 1), 0, storage("DoubleStorage")))),
    "storage 0 of 6 elements ends behind the file",
  ],
  [
    "a part that leaves",
    file(named(tensor(pair(2, 3), pair(3, 1), 0, storage("FloatStorage", 6, `(N${int(4)}${int(3)}t`)))),
    "a part of storage 0 leaves it",
  ],
  ["a storage that is not listed", stream(named(tensor(pair(2, 3), pair(3, 1)))), "storage 0 is missing"],
  [
    "storages that nobody names",
    stream("\x80\x02}.", `\x80\x02]${short("0")}a.`, six),
    'storage "0" is listed twice, or for nothing',
  ],
  ["no list of storages", stream(named(tensor(pair(2, 3), pair(3, 1))), "\x80\x02N."), "it has no list of storages"],
  ["a text without end", file("\x80\x02X\xff\xff\xff\x7f"), "it ends in the middle of its pickle (truncated?)"],
])("refused: %s", async (_what, content, text) => {
  expect(await refusal(content)).toMatchObject({
    name: "GloraError",
    code: "FILE",
    message: expect.stringContaining(text),
  });
});

test.each(
  Object.entries({ POP: "0", POP_MARK: "1", DUP: "2", FLOAT: "F", INT: "I", LONG: "L", PERSID: "P", STRING: "S" })
    .concat(Object.entries({ UNICODE: "V", DICT: "d", GET: "g", INST: "i", LIST: "l", OBJ: "o", PUT: "p" }))
    .concat(Object.entries({ EXT1: "\x82", EXT2: "\x83", EXT4: "\x84", LONG4: "\x8b", BINBYTES8: "\x8e" }))
    .concat(Object.entries({ EMPTY_SET: "\x8f", ADDITEMS: "\x90", FROZENSET: "\x91", NEWOBJ_EX: "\x92" }))
    .concat(Object.entries({ BYTEARRAY8: "\x96", NEXT_BUFFER: "\x97", READONLY_BUFFER: "\x98" })),
)("the instruction %s is refused by name", async (name, code) => {
  const { message } = await refusal(file(`\x80\x02${code}`));
  expect(message).toContain(`${name} is an instruction that is not read (byte 2 of its pickle)`);
});

test("a nest without bottom and a dictionary in itself do no harm", async () => {
  const deep = `\x80\x02${"]".repeat(1e5)}${"a".repeat(1e5 - 1)}.`;
  expect((await refusal(stream(deep))).message).toContain("it holds no dictionary");
  expect((await refusal(stream(`\x80\x02}q\0${short("a")}h\0s.`))).message).toContain("it holds no tensors by name");
  expect((await refusal(file(`\x80\x02${"N".repeat(2 ** 22)}.`))).message).toContain("more than 4194304 instructions");
});

test("every truncation is told", async () => {
  for (const name of ["stream.pth", "parallel.pt"]) {
    const whole = bytes(name);
    for (let length = 0; length < whole.length; length += 7)
      expect(await refusal(whole.subarray(0, length)), `${length}`).toMatchObject({ name: "GloraError", code: "FILE" });
  }
});

test.each(["stream.pth", "nested.pth", "parallel.pt"])(
  "%s with random bytes changed: read, or refused, but never anything else",
  async (name) => {
    const rng = rngStream(1, name);
    const whole = withoutChecksums(bytes(name));
    let refused = 0;
    for (let round = 0; round < 400; round++) {
      const spoilt = whole.slice();
      for (let i = rng.int(4); i >= 0; i--) spoilt[rng.int(whole.length)] = rng.int(256);
      try {
        for (const entry of (await readTorch(memorySource("x", spoilt))).tensors.values()) await readBytes(entry);
      } catch (thrown) {
        refused++;
        expect(thrown).toMatchObject({ name: "GloraError", code: "FILE" });
      }
    }
    expect(refused).toBeGreaterThan(100);
  },
);
