/** SHA-256 of bytes, in lower-case hexadecimal. */
export async function hashBytes(bytes: Uint8Array | Float32Array): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", bytes.slice()); // of a buffer that is not shared
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The same of a text's UTF-8 bytes. */
export const hashText = (text: string): Promise<string> => hashBytes(new TextEncoder().encode(text));
