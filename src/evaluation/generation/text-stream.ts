/** Tokens that come one by one as text, in whole characters. */
import type { Tokenizer } from "../../data/text/tokenizer.js";

/** What stands for bytes that are no character, or not all of one yet. */
const INCOMPLETE = "\ufffd";

/** Tokens of the prompt that the first tokens are read with: whether a space begins a word depends on what stands before it. */
const CONTEXT = 8;

/**
 * The text of tokens behind a prompt. A token may hold a part of a character alone; its text comes with the rest of it.
 * What might become a stop string is held back, and a stop string that has come ends the text in front of it.
 */
export class TextStream {
  /** Tokens so far: a few of the prompt, then those pushed. */
  private readonly ids: number[];
  /** Where the tokens begin that are read together with the next, and how many have been read. */
  private start = 0;
  private read: number;
  /** Read, but not given away: it may be the beginning of a stop string. */
  private held = "";
  /** A stop string has come. */
  stopped = false;

  constructor(
    private readonly tokenizer: Pick<Tokenizer, "decode">,
    prompt: ArrayLike<number>,
    private readonly stop: readonly string[] = [],
  ) {
    this.ids = Array.from(prompt).slice(-CONTEXT);
    this.read = this.ids.length;
  }

  /** The text that is complete with this token; empty where more is needed. */
  push(id: number): string {
    this.ids.push(id);
    const text = this.unread();
    return text.endsWith(INCOMPLETE) ? "" : this.take(text);
  }

  /** The text that is left when no token comes any more. */
  end(): string {
    const text = this.take(this.unread()) + (this.stopped ? "" : this.held);
    this.held = "";
    return text;
  }

  private unread(): string {
    const known = this.decode(this.start, this.read);
    return this.decode(this.start, this.ids.length).slice(known.length);
  }

  private decode(from: number, to: number): string {
    return this.tokenizer.decode(this.ids.slice(from, to), { skipSpecial: true });
  }

  private take(text: string): string {
    if (this.read < this.ids.length && text !== "") this.start = this.read;
    this.read = this.ids.length;
    if (this.stopped) return "";
    const all = this.held + text;
    const found = this.stop.map((stop) => all.indexOf(stop)).filter((at) => at >= 0);
    if (found.length > 0) {
      this.stopped = true;
      this.held = "";
      return all.slice(0, Math.min(...found));
    }
    const free = all.length - Math.max(0, ...this.stop.map((stop) => overlap(all, stop)));
    this.held = all.slice(free);
    return all.slice(0, free);
  }
}

/** How many characters at the end of a text a stop string begins with. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--)
    if (text.endsWith(stop.slice(0, length))) return length;
  return 0;
}
