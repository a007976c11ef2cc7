import type { Fields } from "../../formats/fields.js";

/** Labels of an object { "0": name, … }; undefined if ids are missing, which is a problem only if all are `required`. */
export function labelsById(fields: Fields, key: string, required: boolean): string[] | undefined {
  const byId = fields.object(key);
  const labels = byId.keys.map((_, i) => (byId.has(`${i}`) || required ? byId.text(`${i}`) : undefined));
  return labels.every((label) => label !== undefined) ? labels : undefined;
}
