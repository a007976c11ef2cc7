/** Where a run keeps what must survive an interruption: a folder in Node.js, memory elsewhere. */
export interface RunStore {
  /** The folder's path, for messages; absent where there is none. */
  readonly folder?: string;
  /** The file's bytes, or undefined if there is none. */
  read(name: string): Promise<Uint8Array | undefined>;
  /** Replaces a file: what is there stays whole until the new one is. */
  write(name: string, data: Uint8Array | string): Promise<void>;
  /** Adds to the end of a file. */
  append(name: string, text: string): Promise<void>;
}

/** A store that forgets. */
export function memoryStore(): RunStore {
  const files = new Map<string, Uint8Array>();
  const bytes = (data: Uint8Array | string) =>
    typeof data === "string" ? new TextEncoder().encode(data) : data.slice();
  return {
    read: async (name) => files.get(name),
    write: async (name, data) => {
      files.set(name, bytes(data));
    },
    append: async (name, text) => {
      const [before, more] = [files.get(name) ?? new Uint8Array(), bytes(text)];
      const both = new Uint8Array(before.length + more.length);
      both.set(before);
      both.set(more, before.length);
      files.set(name, both);
    },
  };
}

/** A file of the store as messages name it. */
export const fileOf = (store: RunStore, name: string): string =>
  store.folder === undefined ? name : `${store.folder}/${name}`;

/** A text of the store, or undefined if there is none. */
export async function readStored(store: RunStore, name: string): Promise<string | undefined> {
  const bytes = await store.read(name);
  return bytes && new TextDecoder().decode(bytes);
}
