/** Texts as token ids and back: a tokenizer.json of Hugging Face, and the chat template beside it. */

export interface Message {
  readonly role: string;
  readonly content: string;
}

export interface EncodeOptions {
  /** Whether the tokens that the model puts around a text (BOS, [CLS] … [SEP]) are added. Default: true. */
  readonly special?: boolean;
}

export interface Encoding {
  readonly ids: Int32Array;
  /** 0 for the first text, 1 for the second. */
  readonly typeIds: Int32Array;
  /** Tokens that were cut away. */
  readonly cut: number;
}

export interface Tokenizer {
  /** One more than the largest id. */
  readonly vocabulary: number;
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  readonly padId: number | undefined;
  encode(text: string, o?: EncodeOptions): Int32Array;
  /**
   * A text, or a pair of texts, as the model's post-processor puts them together. What goes beyond `maxTokens` is cut off
   * the ends of the texts, of the longer one first.
   */
  encodePair(text: string, second: string | undefined, o?: { readonly maxTokens?: number }): Encoding;
  decode(ids: Iterable<number>, o?: { readonly skipSpecial?: boolean }): string;
  /** The piece of text that stands for an id, as the vocabulary writes it. */
  piece(id: number): string;
  /** Whether a token is one of those that are no text: BOS, the end of a turn, padding. */
  isSpecial(id: number): boolean;
  /** Whether there is a chat template. */
  readonly chat: boolean;
  /** The text of a conversation. @throws {GloraError} CONFIG without a template, DATA if the template refuses the messages */
  renderChat(messages: readonly Message[], o?: { readonly addGenerationPrompt?: boolean }): string;
}
