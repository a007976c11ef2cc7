import { expect, test } from "vitest";
import { readCsv } from "./csv.node.js";
import { memorySource } from "./source.js";

const source = (text: string) => memorySource("data.csv", new TextEncoder().encode(text));

test("commas: RFC 4180's own examples, and the line on which a row starts", async () => {
  // https://www.rfc-editor.org/rfc/rfc4180, 2.5 to 2.7
  const text = '\ufeffaaa,bbb\r\n"aaa","b\r\nbb"\r\n\r\n"aaa","b""bb"\r\nx,y,z\r\n';
  expect(await readCsv(source(text), ",")).toEqual([
    { line: 1, cells: ["aaa", "bbb"] },
    { line: 2, cells: ["aaa", "b\r\nbb"] },
    { line: 5, cells: ["aaa", 'b"bb'] },
    { line: 6, cells: ["x", "y", "z"] },
  ]);
});

test("commas: broken quotes are refused with the line", async () => {
  await expect(readCsv(source('a,b\n"x,y\n'), ",")).rejects.toThrow(/^data\.csv: .*line 2/);
});

test("tabs: a quote is a character as any other, unless the first line has quoted cells", async () => {
  const open = '"so bad\t0\n6" long\t1\n';
  expect((await readCsv(source(open), "\t")).map(({ cells }) => cells)).toEqual([
    ['"so bad', "0"],
    ['6" long', "1"],
  ]);
  const quoted = '"text"\t"label"\n"a\tb"\t"1"\n';
  expect((await readCsv(source(quoted), "\t")).map(({ cells }) => cells)).toEqual([
    ["text", "label"],
    ["a\tb", "1"],
  ]);
  const neither = '"Stop!"\t0\n"half\t1\n';
  expect((await readCsv(source(neither), "\t")).map(({ cells }) => cells)).toEqual([
    ['"Stop!"', "0"],
    ['"half', "1"],
  ]);
});
