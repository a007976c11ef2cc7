/** What a model is trained to say of its inputs. */
export type Task =
  /** One class, or any number of labels, of each example. */
  | { readonly kind: "classes" | "multi-label"; readonly labels: readonly string[] }
  /** A number for each name. */
  | { readonly kind: "regression"; readonly labels: readonly string[] }
  /** The next token. */
  | { readonly kind: "language" }
  /** How near two texts are: the cosine of their embeddings. */
  | { readonly kind: "similarity" };
