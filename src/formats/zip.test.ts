import { readFileSync } from "node:fs";
import { crc32, deflateRawSync } from "node:zlib";
import { expect, test } from "vitest";
import { memorySource } from "./source.js";
import { readZip } from "./zip.js";

interface Part {
  name: string;
  data: Uint8Array;
  method?: number;
  /** What the directory says, where that is not so. */
  size?: number;
  packed?: number;
  start?: number;
  flags?: number;
  /** Of the unpacked bytes; 0, none, unless said. */
  sum?: number;
  /** In front of the bytes, where it is another. */
  localName?: string;
  /** Sizes and place in a zip64 field. */
  wide?: boolean;
}

const numbers = (...fields: [value: number, width: 2 | 4 | 8][]): number[] =>
  fields.flatMap(([value, width]) => [
    ...new Uint8Array(new BigUint64Array([BigInt(value)]).buffer).subarray(0, width),
  ]);

/** An archive after APPNOTE.TXT. */
function zip(
  parts: readonly Part[],
  end: { count?: number; offset?: number; disk?: number; wide?: boolean; comment?: string } = {},
) {
  const file: number[] = [];
  const directory: number[] = [];
  for (const {
    name,
    data,
    method = 0,
    size = data.length,
    packed = data.length,
    flags = 0,
    sum = 0,
    wide = false,
    ...o
  } of parts) {
    const start = o.start ?? file.length;
    const text = [...new TextEncoder().encode(name)];
    file.push(...numbers([0x04034b50, 4], [20, 2], [flags, 2], [method, 2], [0, 4], [0, 4]));
    const local = [...new TextEncoder().encode(o.localName ?? name)];
    file.push(...numbers([0xffffffff, 4], [0xffffffff, 4], [local.length, 2], [3, 2]), ...local, 1, 2, 3, ...data);
    const extra = wide
      ? numbers([7, 2], [1, 2]).concat(0, numbers([1, 2], [24, 2], [size, 8], [packed, 8], [start, 8]))
      : [];
    const narrow = (value: number) => (wide ? 0xffffffff : value);
    directory.push(...numbers([0x02014b50, 4], [20, 2], [20, 2], [flags, 2], [method, 2], [0, 4], [sum, 4]));
    directory.push(...numbers([narrow(packed), 4], [narrow(size), 4], [text.length, 2], [extra.length, 2], [0, 2]));
    directory.push(...numbers([0, 2], [0, 2], [0, 4], [narrow(start), 4]), ...text, ...extra);
  }
  const offset = end.offset ?? file.length;
  const count = end.count ?? parts.length;
  const at = file.length + directory.length;
  const wide = end.wide
    ? numbers([0x06064b50, 4], [44, 8], [45, 2], [45, 2], [0, 4], [0, 4], [count, 8], [count, 8], [directory.length, 8])
        .concat(numbers([offset, 8]))
        .concat(numbers([0x07064b50, 4], [0, 4], [at, 8], [1, 4]))
    : [];
  const known = (value: number, unknown: number) => (end.wide ? unknown : value);
  const last = numbers(
    [0x06054b50, 4],
    [end.disk ?? 0, 2],
    [0, 2],
    [known(count, 0xffff), 2],
    [known(count, 0xffff), 2],
  )
    .concat(numbers([known(directory.length, 0xffffffff), 4], [known(offset, 0xffffffff), 4]))
    .concat(numbers([end.comment?.length ?? 0, 2]));
  const comment = [...new TextEncoder().encode(end.comment ?? "")];
  return memorySource("x.zip", Uint8Array.from([...file, ...directory, ...wide, ...last, ...comment]));
}

const fixture = (name: string): Uint8Array => new Uint8Array(readFileSync(`test/fixtures/weight-files/${name}`));

const hello = new TextEncoder().encode("hello");
const world = new TextEncoder().encode("world".repeat(100));
const packed = new Uint8Array(deflateRawSync(world));

async function contents(source: ReturnType<typeof memorySource>): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const [name, entry] of await readZip(source)) {
    const range = await entry.open();
    found[name] = new TextDecoder().decode(await range.source.read(range.offset, range.length));
    expect(range.length).toBe(entry.size);
  }
  return found;
}

test.each([false, true])("stored and deflated files, with zip64 %s", async (wide) => {
  const parts = [
    { name: "a/é", data: hello, wide },
    { name: "b", data: packed, method: 8, size: world.length, wide },
    { name: "empty", data: new Uint8Array(), wide },
  ];
  const expected = { "a/é": "hello", b: "world".repeat(100), empty: "" };
  expect(await contents(zip(parts, { wide }))).toEqual(expected);
  expect(await contents(zip(parts, { wide, comment: "PK\x05\x06 is how the last record begins" }))).toEqual(expected);
  expect(await contents(zip([]))).toEqual({});
});

test.each<[string, ReturnType<typeof memorySource>, string]>([
  ["an empty file", memorySource("x.zip", new Uint8Array()), "it has no directory at its end (truncated?)"],
  ["no archive", memorySource("x.zip", world), "it has no directory at its end (truncated?)"],
  ["several parts", zip([], { disk: 1 }), "it is one of several parts"],
  ["a directory elsewhere", zip([{ name: "a", data: hello }], { offset: 1e6 }), "its directory leaves the file"],
  ["a directory beside", zip([{ name: "a", data: hello }], { offset: 3 }), "its directory is not well formed"],
  ["another count", zip([{ name: "a", data: hello }], { count: 2 }), "its directory lists 1 files, and claims 2"],
  [
    "a zip64 directory elsewhere",
    zip([{ name: "a", data: hello }], { wide: true, offset: 2 ** 60 }),
    "a number in its directory is beyond 2^53",
  ],
  [
    "a name twice",
    zip([
      { name: "a", data: hello },
      { name: "a", data: hello },
    ]),
    '"a" occurs twice in its directory',
  ],
  ["an encrypted file", zip([{ name: "a", data: hello, flags: 1 }]), '"a" is encrypted'],
  [
    "another method",
    zip([{ name: "a", data: hello, method: 12 }]),
    '"a" is packed by method 12; stored or deflated is expected',
  ],
  ["a size beyond the file", zip([{ name: "a", data: hello, size: 1e6, packed: 1e6 }]), '"a" leaves the file'],
  ["a size up to the directory", zip([{ name: "a", data: hello, size: 30, packed: 30 }]), '"a" leaves the file'],
  ["two sizes", zip([{ name: "a", data: hello, size: 4 }]), '"a" is stored in 5 bytes, but has 4'],
  [
    "another name in front of the bytes",
    zip([{ name: "a", data: hello, localName: "b" }]),
    '"a" has another name in front of its bytes',
  ],
  [
    "stored bytes with another checksum",
    zip([{ name: "a", data: hello, sum: 1 }]),
    'the bytes of "a" do not have its checksum: they were changed or lost',
  ],
  [
    "inflated bytes with another checksum",
    zip([{ name: "a", data: packed, method: 8, size: world.length, sum: crc32(world) ^ 1 }]),
    'the bytes of "a" do not have its checksum: they were changed or lost',
  ],
  ["a place without a file", zip([{ name: "a", data: hello, start: 2 }]), '"a" is not where its directory says'],
  [
    "a bomb",
    zip([{ name: "a", data: packed, method: 8, size: 2 ** 40, wide: true }]),
    `"a" claims to be ${2 ** 40} bytes packed into ${packed.length}`,
  ],
  [
    "a stream that gives more",
    zip([{ name: "a", data: packed, method: 8, size: 499 }]),
    '"a" does not inflate to its 499 bytes',
  ],
  [
    "a stream that gives less",
    zip([{ name: "a", data: packed, method: 8, size: 501 }]),
    '"a" does not inflate to its 501 bytes',
  ],
  ["a broken stream", zip([{ name: "a", data: hello, method: 8 }]), '"a" does not inflate to its 5 bytes'],
])("refused: %s", async (_what, source, text) => {
  await expect(contents(source)).rejects.toMatchObject({
    code: "FILE",
    message: `x.zip: not a valid ZIP archive: ${text}. Fetch or export it again.`,
  });
});

test("a checksum is compared when a byte is first read, not before, and once", async () => {
  const good = zip([{ name: "a", data: hello, sum: crc32(hello) }]);
  let reads = 0;
  const counted = {
    ...good,
    read: (offset: number, length: number) => {
      reads++;
      return good.read(offset, length);
    },
  };
  const { source, unchecked, offset } = await (await readZip(counted)).get("a")!.open();
  const before = reads;
  await unchecked.read(offset, 1);
  expect(reads).toBe(before + 1);
  for (let i = 0; i < 5; i++) expect(await source.read(offset + i, 1)).toEqual(hello.subarray(i, i + 1));
  expect(reads).toBe(before + 1 + 1 + 5);

  const spoilt = zip([{ name: "a", data: hello, sum: crc32(world) }]);
  const range = await (await readZip(spoilt)).get("a")!.open();
  expect(await range.unchecked.read(range.offset, 5)).toEqual(hello);
  for (const act of ["verify", "read"] as const)
    await expect(range.source[act]!(range.offset + 4, 1)).rejects.toMatchObject({
      code: "FILE",
      message:
        'x.zip: not a valid ZIP archive: the bytes of "a" do not have its checksum: they were changed or lost. ' +
        "Fetch or export it again.",
    });
});

// Written by numpy and PyTorch: scripts/fixtures/weight-files.py.
test.each(["compressed.npz", "parallel.pt"])(
  "%s: each byte flipped is refused or changes nothing; those of stored files are refused",
  async (name) => {
    const whole = fixture(name);
    const read = async (bytes: Uint8Array) => {
      const found = new Map<string, Uint8Array>();
      const stored = new Set<number>();
      for (const [name, entry] of await readZip(memorySource("x.zip", bytes))) {
        const { source, offset, length } = await entry.open();
        found.set(name, await source.read(offset, length));
        if (source.verify) for (let i = 0; i < length; i++) stored.add(offset + i);
      }
      return { found, stored };
    };
    const { found: expected, stored } = await read(whole);
    for (let at = 0; at < whole.length; at++) {
      const spoilt = whole.slice();
      spoilt[at] = ~spoilt[at]!;
      const result = await read(spoilt).catch((thrown) => thrown);
      if (result instanceof Error) expect(result).toMatchObject({ name: "GloraError", code: "FILE" });
      else expect([result.found, stored.has(at)], `byte ${at}`).toEqual([expected, false]);
    }
  },
);
