/** The word that was probably meant: a longer or shorter form of what was typed, else one slip of the fingers away. */
export function findClose(typed: string, words: readonly string[]): string | undefined {
  if (typed === "") return undefined;
  return (
    words.find((word) => word.startsWith(typed) || (typed.length > 3 && typed.startsWith(word))) ??
    (typed.length < 3 ? undefined : words.find((word) => isOneSlip(typed, word)))
  );
}

/** One letter missing, too many, wrong, or two of them exchanged. */
function isOneSlip(typed: string, word: string): boolean {
  if (Math.abs(typed.length - word.length) > 1) return false;
  let at = 0;
  while (at < typed.length && typed[at] === word[at]) at++;
  const rests = [
    [typed.slice(at + 1), word.slice(at + 1)],
    [typed.slice(at), word.slice(at + 1)],
    [typed.slice(at + 1), word.slice(at)],
    [`${typed[at + 1] ?? ""}${typed[at] ?? ""}${typed.slice(at + 2)}`, word.slice(at)],
  ];
  return rests.some(([left, right]) => left === right);
}
