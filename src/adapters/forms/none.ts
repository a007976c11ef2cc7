import type { FormRule } from "./rule.js";

/** An absent support: nothing stored, nothing changed. */
export const none: FormRule = {
  stored: () => [],
  effective() {},
  pullBack() {},
  addRow() {},
};
