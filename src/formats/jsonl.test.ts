import { expect, test } from "vitest";
import { readJsonLines, readJsonRecords } from "./jsonl.js";
import { memorySource } from "./source.js";

const source = (text: string) => memorySource("data.json", new TextEncoder().encode(text));

test("lines end in LF or CR LF alone; a byte order mark and empty lines are passed over", async () => {
  const records = await readJsonLines(source('\ufeff{"a":"x\u2028y"}\r\n\n  \n[1]\n{oops\n"last"'));
  expect(records).toEqual([
    { line: 1, value: { a: "x\u2028y" } },
    { line: 4, value: [1] },
    { line: 5, problem: expect.stringMatching(/^not valid JSON: /) },
    { line: 6, value: "last" },
  ]);
});

test("a character may lie across two chunks of a file", async () => {
  const text = `${"x".repeat(4 * 2 ** 20 - 2)}é中`;
  expect(await readJsonLines(source(JSON.stringify(text)))).toEqual([{ line: 1, value: text }]);
});

test("bytes that are not UTF-8 are refused", async () => {
  const bytes = Uint8Array.from([0x22, 0x61, 0x22, 0x0a, 0xff]);
  await expect(readJsonLines(memorySource("data.jsonl", bytes))).rejects.toThrow(
    "data.jsonl: line 2 is not UTF-8 text. Save the file as UTF-8.",
  );
});

test("a list has its elements with the lines that they start on, whatever they hold", async () => {
  const text = '\n[ {"a": "]\\",\\n"},\n\n [2,\n[3, "x"]], "s"\n, 5,{\n"b":[]}]\n';
  expect(await readJsonRecords(source(text))).toEqual([
    { line: 2, value: { a: ']",\n' } },
    { line: 4, value: [2, [3, "x"]] },
    { line: 5, value: "s" },
    { line: 6, value: 5 },
    { line: 6, value: { b: [] } },
  ]);
  expect(await readJsonRecords(source("[]"))).toEqual([]);
  expect(await readJsonRecords(source('{"a":1}\n{"a":2}'))).toHaveLength(2);
});

test("in a list that is not valid JSON each element that is wrong is found", async () => {
  expect(await readJsonRecords(source('[{"a": 1},\n{"a": },\n[2],\noops\n]'))).toEqual([
    { line: 1, value: { a: 1 } },
    { line: 2, problem: expect.stringMatching(/^not valid JSON: /) },
    { line: 3, value: [2] },
    { line: 4, problem: expect.stringMatching(/^not valid JSON: /) },
  ]);
  expect(await readJsonRecords(source('[1,\n{"a": "cut of'))).toMatchObject([
    { value: 1 },
    { line: 2, problem: expect.any(String) },
  ]);
  await expect(readJsonRecords(source("[1, 2,]"))).rejects.toThrow(/^data\.json: not valid JSON: /);
});
