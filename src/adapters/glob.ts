/** Whether a name matches a glob: `*` stands for any run of characters (dots too), `?` for one; the rest is literal. */
export function globMatch(pattern: string, name: string): boolean {
  const source = pattern
    .replace(/[\\^$.|+()[\]{}]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  return new RegExp(`^${source}$`, "s").test(name);
}
