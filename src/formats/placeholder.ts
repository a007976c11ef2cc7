/** What a download may leave in the place of a file. */
import { GloraError } from "../base/errors.js";
import type { ByteSource } from "./source.js";

/** Bytes; a pointer has about 130. */
const BEGINNING = 512;

/**
 * The error of a text in whose place something else was expected, if it is a pointer of Git LFS or a web page.
 * @see https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
 */
export function placeholderError(text: string, file: string): GloraError | undefined {
  if (text.startsWith("version https://git-lfs.github.com/spec/")) {
    const size = /^size (\d+)$/m.exec(text)?.[1];
    return new GloraError(
      "FILE",
      `${file}: is a Git LFS pointer: the file itself${size ? `, of ${size} bytes,` : ""} was not downloaded. ` +
        'Run "git lfs pull" in its folder, or download the file again.',
      { file, ...(size && { size: Number(size) }) },
    );
  }
  if (!/^\s*<(!doctype\s+)?html\b/i.test(text)) return undefined;
  return new GloraError(
    "FILE",
    `${file}: is a web page (HTML), which was saved in the place of the file. ` +
      'Download the file itself; its address on Hugging Face has "/resolve/" where that of its page has "/blob/".',
    { file },
  );
}

/** @throws {GloraError} "FILE" if a file begins as a pointer of Git LFS or a web page */
export async function refusePlaceholder(source: ByteSource): Promise<void> {
  const bytes = await source.read(0, Math.min(source.size, BEGINNING));
  const error = placeholderError(new TextDecoder().decode(bytes), source.name);
  if (error) throw error;
}
