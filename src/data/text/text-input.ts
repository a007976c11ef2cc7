import type { Tokenizer } from "./tokenizer.js";

/** How a model wants its texts. */
export interface TextInput {
  readonly kind: "text";
  /** Reads the folder's tokenizer; @throws {GloraError} FILE or DATA if there is none, or if it does not fit the vocabulary. */
  tokenizer(): Promise<Tokenizer>;
  /** `causal`: each token is predicted from those before it; `bidirectional`: a text is understood as a whole. */
  readonly attention: "causal" | "bidirectional";
  /** Longest sequence, in tokens. */
  readonly maxTokens: number;
  /** Number of tokens that the model has embeddings for. */
  readonly vocabulary: number;
  /** The token that fills rows up, on the right: the model's masks leave it out. */
  readonly padId: number;
  /** The model tells a first text from a second one (`token_type_ids`). */
  readonly tokenTypes: boolean;
}
