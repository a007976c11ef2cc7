import { expect, test } from "vitest";
import { openFile } from "./file.node.js";
import { readParquet } from "./parquet.js";
import { memorySource } from "./source.js";

const four = [
  { sentence: "good", label: 1, tags: ["a"] },
  { sentence: "bad", label: 0, tags: ["a", "b"] },
  { sentence: "so ½ good", label: 1, tags: [] },
  { sentence: "worse", label: 0, tags: ["b"] },
];

test.each(["snappy", "zstd"])("rows that pyarrow wrote with %s", async (codec) => {
  expect(await readParquet(await openFile(`test/fixtures/text/${codec}.parquet`))).toEqual([...four, ...four, ...four]);
});

test("a file that is none is refused by name", async () => {
  await expect(readParquet(memorySource("x.parquet", new Uint8Array(100)))).rejects.toMatchObject({
    code: "FILE",
    message: expect.stringMatching(/^x\.parquet: cannot be read as Parquet: /),
  });
});

// A rejection that nobody waits for would fail the test run.
test("a file with any one of its bytes changed is read or refused", async () => {
  const bytes = await (await openFile("test/fixtures/text/snappy.parquet")).read(0, 1122);
  for (let at = 0; at < bytes.length; at++) {
    const damaged = Uint8Array.from(bytes);
    damaged[at]! ^= 0xff;
    const refused = await readParquet(memorySource("x.parquet", damaged)).then(
      () => undefined,
      (error: unknown) => error,
    );
    if (refused !== undefined) expect(refused).toMatchObject({ code: "FILE" });
  }
});
