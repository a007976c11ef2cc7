import { GloraError } from "../../../base/errors.js";
import { type Folder, parseJson, sourceText } from "../../../formats/folder.js";

/** The largest tokenizer.json that is known to us has 34 MB. */
const LARGEST = 64 * 2 ** 20;
/** Real ones are about ten levels deep. */
const DEEPEST = 100;

/**
 * A JSON file of a tokenizer, which a stranger may have written: refused before it costs time or memory.
 *
 * @returns undefined if there is no such file
 * @throws {GloraError} FILE if it is over 64 MiB, nested more than 100 deep, not UTF-8 or not JSON
 */
export async function readTokenizerJson(folder: Folder, file: string): Promise<unknown> {
  const source = await folder.open(file);
  if (source === undefined) return undefined;
  const name = `${folder.name}/${file}`;
  if (source.size > LARGEST)
    throw new GloraError(
      "FILE",
      `${name}: ${(source.size / 2 ** 20).toFixed(0)} MiB is too large for it; tokenizers have at most 64 MiB. Fetch it again.`,
      { file: name, size: source.size, largest: LARGEST },
    );
  const text = await sourceText(source);
  if (deeperThan(text, DEEPEST))
    throw new GloraError(
      "FILE",
      `${name}: lists and objects are nested more than ${DEEPEST} deep; this is no tokenizer.`,
      {
        file: name,
        deepest: DEEPEST,
      },
    );
  try {
    return parseJson(text, name);
  } catch (thrown) {
    throw thrown instanceof GloraError ? new GloraError("FILE", thrown.message, thrown.details, thrown) : thrown;
  }
}

/** Whether brackets outside of strings are nested deeper than a limit. */
function deeperThan(text: string, limit: number): boolean {
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (quoted) {
      if (unit === BACKSLASH) i++;
      else if (unit === QUOTE) quoted = false;
    } else if (unit === QUOTE) quoted = true;
    else if (unit === BRACKET || unit === BRACE) {
      if (++depth > limit) return true;
    } else if (unit === BRACKET + 2 || unit === BRACE + 2) depth--;
  }
  return false;
}

const [QUOTE, BACKSLASH, BRACKET, BRACE] = [0x22, 0x5c, 0x5b, 0x7b];
