/**
 * Reads what a Python pickle describes, and runs nothing. A pickle is a program for a small stack machine; of its
 * instructions only those are known here that lay out numbers, texts, lists, tuples and dictionaries. Where it asks for a
 * function to be called, the caller of {@link readPickle} is asked by the function's name, and says what stands in its place.
 */

/** A name of Python's: a function or a class. Just the name. */
export class Global {
  constructor(readonly name: string) {}
}

/** An object of a class that is not known here. What it holds is not kept. */
export class Opaque {
  constructor(readonly type: string) {}
}

export interface PickleReader {
  /** What stands for the result of calling a function by its full name; undefined if such a call is not known. */
  call(name: string, args: readonly unknown[]): unknown;
  /** What stands for an object that is stored outside the pickle, by its id. */
  persistent(id: unknown): unknown;
  /** Throws the error of the file: what is wrong, as a part of a sentence. */
  refuse(what: string): never;
}

/** Instructions and so values, at most; the state dict of a large model needs some 100,000. */
const MOST_INSTRUCTIONS = 2 ** 22;

/**
 * The value of a pickle of protocol 2 to 4: null, boolean, number, bigint, string, Uint8Array; arrays for lists and
 * tuples, a Map for a dictionary, {@link Global}, {@link Opaque}, and what `reader` gave.
 *
 * @returns the value and the place behind it, or undefined if the bytes end before the pickle does
 * @throws what `reader.refuse` throws, for an instruction or a call that is not known (by name), or a broken pickle
 * @see CPython, Lib/pickletools.py
 */
export function readPickle(
  bytes: Uint8Array,
  start: number,
  reader: PickleReader,
): { readonly value: unknown; readonly end: number } | undefined {
  try {
    return new Machine(bytes, start, reader).run();
  } catch (thrown) {
    if (thrown === ENDED) return undefined;
    throw thrown;
  }
}

const ENDED = Symbol("the bytes end before the pickle");

class Machine {
  readonly #view: DataView;
  readonly #stack: unknown[] = [];
  /** Lengths that the stack had at the marks. */
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, unknown>();
  #at: number;
  /** Where the instruction stands that is being carried out. */
  #instruction = 0;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly start: number,
    readonly reader: PickleReader,
  ) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = start;
  }

  run(): { value: unknown; end: number } {
    for (let count = 0; count < MOST_INSTRUCTIONS; count++) {
      this.#instruction = this.#at;
      const code = this.bytes[this.take(1)]!;
      if (code === STOP) return { value: this.pop(), end: this.#at };
      this.#step(code);
    }
    return this.reader.refuse(`its pickle has more than ${MOST_INSTRUCTIONS} instructions`);
  }

  #step(code: number): void {
    const key = String.fromCharCode(code);
    const instruction = INSTRUCTIONS.get(key);
    if (instruction !== undefined) instruction(this);
    else this.refuse(`${REFUSED.get(key) ?? `0x${code.toString(16)}`} is an instruction that is not read`);
  }

  refuse(what: string): never {
    return this.reader.refuse(`${what} (byte ${this.#instruction - this.start} of its pickle)`);
  }

  protocol(version: number): void {
    if (version < 2 || version > 4) this.refuse(`protocol ${version} is not read; 2, 3 and 4 are`);
  }

  /** Where the next so many bytes begin. */
  take(count: number): number {
    const at = this.#at;
    if (count > this.bytes.length - at) throw ENDED;
    this.#at += count;
    return at;
  }

  skip(count: number): void {
    this.take(count);
  }

  integer(): number {
    return this.#view.getInt32(this.take(4), true);
  }

  float(): number {
    return this.#view.getFloat64(this.take(8), false);
  }

  unsigned(width: 1 | 2 | 4 | 8): number {
    const at = this.take(width);
    if (width === 1) return this.#view.getUint8(at);
    if (width === 2) return this.#view.getUint16(at, true);
    if (width === 4) return this.#view.getUint32(at, true);
    return Number(this.#view.getBigUint64(at, true));
  }

  /** A whole number in two's complement. */
  long(length: number): number | bigint {
    const bytes = this.slice(length);
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]!);
    if (length > 0 && bytes[length - 1]! >= 0x80) value -= 1n << BigInt(8 * length);
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }

  slice(length: number): Uint8Array {
    const at = this.take(length);
    return this.bytes.subarray(at, at + length);
  }

  text(length: number): string {
    const bytes = this.slice(length);
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      return this.refuse("a text is not UTF-8");
    }
  }

  /** Up to the next line feed. */
  line(): string {
    const end = this.bytes.indexOf(0x0a, this.#at);
    if (end < 0) throw ENDED;
    const text = this.text(end - this.#at);
    this.take(1);
    return text;
  }

  mark(): void {
    this.#marks.push(this.#stack.length);
  }

  push(value: unknown): void {
    this.#stack.push(value);
  }

  /** A mark separates: nothing below it can be taken from above. */
  popMany(count: number): unknown[] {
    if (this.#stack.length - count < (this.#marks.at(-1) ?? 0)) return this.refuse("its stack is empty");
    return this.#stack.splice(this.#stack.length - count);
  }

  pop(): unknown {
    return this.popMany(1)[0];
  }

  peek(): unknown {
    const [value] = this.popMany(1);
    this.push(value);
    return value;
  }

  popMarked(): unknown[] {
    const mark = this.#marks.pop();
    return mark === undefined ? this.refuse("there is no mark") : this.#stack.splice(mark);
  }

  append(items: readonly unknown[]): void {
    const list = this.peek();
    if (Array.isArray(list)) for (const item of items) list.push(item);
    else if (!(list instanceof Opaque)) this.refuse("items are appended to what is no list");
  }

  setItems(items: readonly unknown[]): void {
    const dictionary = this.peek();
    if (items.length % 2 !== 0) this.refuse("a key has no value");
    if (dictionary instanceof Map) for (let i = 0; i < items.length; i += 2) dictionary.set(items[i], items[i + 1]);
    else if (!(dictionary instanceof Opaque)) this.refuse("keys are set of what is no dictionary");
  }

  remember(key: number = this.#memo.size): void {
    this.#memo.set(key, this.peek());
  }

  recall(key: number): void {
    if (!this.#memo.has(key)) this.refuse(`nothing was remembered as ${key}`);
    this.push(this.#memo.get(key));
  }

  global([module, name]: readonly unknown[]): Global {
    if (typeof module === "string" && typeof name === "string") return new Global(`${module}.${name}`);
    return this.refuse("a name is no text");
  }

  /** Attributes of an object, of which none is needed. */
  build(): void {
    this.pop();
    this.peek();
  }

  /** A function's result, or an object of a class: that of an unknown class is just named, for to lay it out runs nothing. */
  call([callee, args]: unknown[], isObject: boolean): unknown {
    if (!(callee instanceof Global) || !Array.isArray(args)) return this.refuse("what it calls is no function by name");
    const result = this.reader.call(callee.name, args);
    if (result !== undefined) return result;
    if (isObject) return new Opaque(callee.name);
    return this.refuse(`it calls ${callee.name.slice(0, 80)}, which is not among the functions that lay out tensors`);
  }
}

const STOP = ".".charCodeAt(0);

/** By their codes; the names are CPython's. */
const INSTRUCTIONS: ReadonlyMap<string, (m: Machine) => void> = new Map(
  Object.entries<(m: Machine) => void>({
    "\x80": (m) => m.protocol(m.unsigned(1)), // PROTO
    "\x95": (m) => m.skip(8), // FRAME: how many bytes belong together

    N: (m) => m.push(null), // NONE
    "\x88": (m) => m.push(true), // NEWTRUE
    "\x89": (m) => m.push(false), // NEWFALSE
    K: (m) => m.push(m.unsigned(1)), // BININT1
    M: (m) => m.push(m.unsigned(2)), // BININT2
    J: (m) => m.push(m.integer()), // BININT
    "\x8a": (m) => m.push(m.long(m.unsigned(1))), // LONG1
    G: (m) => m.push(m.float()), // BINFLOAT

    X: (m) => m.push(m.text(m.unsigned(4))), // BINUNICODE
    "\x8c": (m) => m.push(m.text(m.unsigned(1))), // SHORT_BINUNICODE
    "\x8d": (m) => m.push(m.text(m.unsigned(8))), // BINUNICODE8
    U: (m) => m.push(m.text(m.unsigned(1))), // SHORT_BINSTRING, a text of Python 2
    T: (m) => m.push(m.text(m.unsigned(4))), // BINSTRING
    C: (m) => m.push(m.slice(m.unsigned(1))), // SHORT_BINBYTES
    B: (m) => m.push(m.slice(m.unsigned(4))), // BINBYTES

    "(": (m) => m.mark(), // MARK
    ")": (m) => m.push([]), // EMPTY_TUPLE
    t: (m) => m.push(m.popMarked()), // TUPLE
    "\x85": (m) => m.push(m.popMany(1)), // TUPLE1
    "\x86": (m) => m.push(m.popMany(2)), // TUPLE2
    "\x87": (m) => m.push(m.popMany(3)), // TUPLE3
    "]": (m) => m.push([]), // EMPTY_LIST
    a: (m) => m.append(m.popMany(1)), // APPEND
    e: (m) => m.append(m.popMarked()), // APPENDS
    "}": (m) => m.push(new Map()), // EMPTY_DICT
    s: (m) => m.setItems(m.popMany(2)), // SETITEM
    u: (m) => m.setItems(m.popMarked()), // SETITEMS

    q: (m) => m.remember(m.unsigned(1)), // BINPUT
    r: (m) => m.remember(m.unsigned(4)), // LONG_BINPUT
    "\x94": (m) => m.remember(), // MEMOIZE
    h: (m) => m.recall(m.unsigned(1)), // BINGET
    j: (m) => m.recall(m.unsigned(4)), // LONG_BINGET

    c: (m) => m.push(m.global([m.line(), m.line()])), // GLOBAL
    "\x93": (m) => m.push(m.global(m.popMany(2))), // STACK_GLOBAL
    R: (m) => m.push(m.call(m.popMany(2), false)), // REDUCE
    "\x81": (m) => m.push(m.call(m.popMany(2), true)), // NEWOBJ: an object, made without calling its constructor
    b: (m) => m.build(), // BUILD
    Q: (m) => m.push(m.reader.persistent(m.pop())), // BINPERSID
  }),
);

/** What CPython has and weights do not need. */
const REFUSED: ReadonlyMap<string, string> = new Map(
  Object.entries({
    "0": "POP",
    "1": "POP_MARK",
    "2": "DUP",
    F: "FLOAT",
    I: "INT",
    L: "LONG",
    P: "PERSID",
    S: "STRING",
    V: "UNICODE",
    d: "DICT",
    g: "GET",
    i: "INST",
    l: "LIST",
    o: "OBJ",
    p: "PUT",
    "\x82": "EXT1",
    "\x83": "EXT2",
    "\x84": "EXT4",
    "\x8b": "LONG4",
    "\x8e": "BINBYTES8",
    "\x8f": "EMPTY_SET",
    "\x90": "ADDITEMS",
    "\x91": "FROZENSET",
    "\x92": "NEWOBJ_EX",
    "\x96": "BYTEARRAY8",
    "\x97": "NEXT_BUFFER",
    "\x98": "READONLY_BUFFER",
  }),
);
