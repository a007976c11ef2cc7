/** A question above its choices, which are answered by their letters. */
export function lettered(
  question: string,
  choices: readonly string[],
): { readonly prompt: string; readonly letters: readonly string[] } {
  const letters = choices.map((_, i) => String.fromCharCode(65 + i));
  return {
    prompt: [question, ...choices.map((choice, i) => `${letters[i]}. ${choice}`), "Answer:"].join("\n"),
    letters,
  };
}
