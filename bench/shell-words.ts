/** Words as a person pastes them into a POSIX shell: what was measured, letter by letter. */

/** Quoted where a shell would read anything but the letters. */
export function shellWords(words: readonly string[]): string {
  return words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)).join(" ");
}
