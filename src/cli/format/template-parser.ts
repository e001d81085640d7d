/** Go's templates, as far as users of `--format` write them: text into a tree. */

import { UsageError } from "../command.ts";

export type Operand =
  | { readonly is: "field"; readonly path: readonly string[] }
  | { readonly is: "variable"; readonly name: string; readonly path: readonly string[] }
  | { readonly is: "value"; readonly value: string | number | boolean | null }
  | { readonly is: "function"; readonly name: string }
  | { readonly is: "pipeline"; readonly pipeline: Pipeline; readonly path: readonly string[] };

/** Commands one after another, each result the last argument of the next. */
export interface Pipeline {
  readonly sets?: readonly string[];
  readonly commands: readonly (readonly Operand[])[];
}

export type Node =
  | { readonly is: "text"; readonly text: string }
  | { readonly is: "action"; readonly pipeline: Pipeline }
  | { readonly is: "if" | "range" | "with"; readonly pipeline: Pipeline; readonly body: readonly Node[]; readonly otherwise: readonly Node[] };

type Piece = { readonly action: false; readonly text: string } | { readonly action: true; readonly text: string };

function cut(template: string): Piece[] {
  const pieces: Piece[] = [];
  let rest = template;
  let trims = false;
  for (;;) {
    const open = rest.indexOf("{{");
    let text = open < 0 ? rest : rest.slice(0, open);
    if (trims) text = text.trimStart();
    if (open < 0) {
      pieces.push({ action: false, text });
      return pieces;
    }
    let body = rest.slice(open + 2);
    const close = endOfAction(body);
    if (close < 0) throw new UsageError("the format has a {{ without its }}");
    rest = body.slice(close + 2);
    body = body.slice(0, close);
    if (/^-\s/.test(body)) {
      text = text.trimEnd();
      body = body.slice(1);
    }
    trims = /\s-$/.test(body);
    if (trims) body = body.slice(0, -1);
    pieces.push({ action: false, text });
    if (!body.trim().startsWith("/*")) pieces.push({ action: true, text: body.trim() });
  }
}

/** `}}` inside a quoted string does not end the action. */
function endOfAction(text: string): number {
  let quoteMark = "";
  for (let at = 0; at < text.length; at++) {
    const character = text[at] as string;
    if (quoteMark !== "") {
      if (character === "\\" && quoteMark === '"') at++;
      else if (character === quoteMark) quoteMark = "";
    } else if (character === '"' || character === "`") quoteMark = character;
    else if (text.startsWith("}}", at)) return at;
  }
  return -1;
}

const TOKEN = /\s*(?:("(?:[^"\\]|\\.)*")|(`[^`]*`)|(-?\d+(?:\.\d+)?)|(\$\w*)|((?:\.\w+)+|\.)|(\w+)|(:=|[|(),=]))/y;

function tokens(text: string): string[] {
  const found: string[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const from = TOKEN.lastIndex;
    const match = TOKEN.exec(text);
    if (match === null) {
      if (text.slice(from).trim() === "") break;
      throw new UsageError(`the format cannot be read at ${JSON.stringify(text.slice(from).trim().slice(0, 40))}`);
    }
    // A field right after a variable or a bracket belongs to it; after a blank it is a new operand.
    const joined = match[5] !== undefined && !/^\s/.test(match[0]) && from > 0;
    found.push(joined ? `\u0000${match[5]}` : match[0].trim());
  }
  return found;
}

function parsePipeline(text: string): Pipeline {
  const words = tokens(text);
  const assign = words.indexOf(":=");
  const sets = assign > 0 ? words.slice(0, assign).filter((word) => word.startsWith("$")) : undefined;
  const rest = assign > 0 ? words.slice(assign + 1) : words;
  const [commands, used] = parseCommands(rest, 0);
  if (used < rest.length) throw new UsageError(`the format has a ) without its ( in ${JSON.stringify(text)}`);
  return sets === undefined ? { commands } : { sets, commands };
}

function parseCommands(words: readonly string[], from: number): [Operand[][], number] {
  const commands: Operand[][] = [[]];
  let at = from;
  while (at < words.length && words[at] !== ")") {
    const word = words[at] as string;
    at++;
    if (word === "|") {
      commands.push([]);
      continue;
    }
    let operand: Operand;
    if (word === "(") {
      const [inner, end] = parseCommands(words, at);
      if (words[end] !== ")") throw new UsageError("the format has a ( without its )");
      at = end + 1;
      operand = { is: "pipeline", pipeline: { commands: inner }, path: [] };
    } else operand = parseOperand(word);
    const path = words[at]?.startsWith("\u0000") ? fieldPath(words[at++]?.slice(1) ?? "") : undefined;
    if (path !== undefined && (operand.is === "variable" || operand.is === "pipeline")) operand = { ...operand, path };
    commands.at(-1)?.push(operand);
  }
  if (commands.some((command) => command.length === 0)) throw new UsageError("the format has an empty {{ }} or a | with nothing beside it");
  return [commands, at];
}

function fieldPath(word: string): string[] {
  return word.split(".").filter((part) => part !== "");
}

function parseOperand(word: string): Operand {
  if (word.startsWith('"')) return { is: "value", value: JSON.parse(word.replaceAll("\\'", "'")) as string };
  if (word.startsWith("`")) return { is: "value", value: word.slice(1, -1) };
  if (/^-?\d/.test(word)) return { is: "value", value: Number(word) };
  if (word.startsWith("$")) return { is: "variable", name: word, path: [] };
  if (word.startsWith(".") || word.startsWith("\u0000")) return { is: "field", path: fieldPath(word.replace("\u0000", "")) };
  if (word === "true" || word === "false") return { is: "value", value: word === "true" };
  if (word === "nil") return { is: "value", value: null };
  return { is: "function", name: word };
}

/** Throws a UsageError that says what cannot be read. */
export function parseTemplate(template: string): readonly Node[] {
  const pieces = cut(template);
  let at = 0;
  const block = (): { nodes: Node[]; ended: string } => {
    const nodes: Node[] = [];
    while (at < pieces.length) {
      const piece = pieces[at++] as Piece;
      if (!piece.action) {
        if (piece.text !== "") nodes.push({ is: "text", text: piece.text });
        continue;
      }
      if (piece.text === "end" || piece.text === "else" || /^else\s+if\s/.test(piece.text)) return { nodes, ended: piece.text };
      const opened = /^(if|range|with)\s+(.*)$/s.exec(piece.text);
      if (opened === null) nodes.push({ is: "action", pipeline: parsePipeline(piece.text) });
      else nodes.push(branch(opened[1] as "if" | "range" | "with", opened[2] ?? ""));
    }
    return { nodes, ended: "" };
  };
  const branch = (is: "if" | "range" | "with", text: string): Node => {
    const { nodes: body, ended } = block();
    let otherwise: readonly Node[] = [];
    const chained = /^else\s+if\s+(.*)$/s.exec(ended);
    if (chained !== null) otherwise = [branch("if", chained[1] ?? "")];
    else if (ended === "else") {
      const rest = block();
      if (rest.ended !== "end") throw new UsageError(`the format has an {{else}} without its {{end}}`);
      otherwise = rest.nodes;
    } else if (ended !== "end") throw new UsageError(`the format has a {{${is}}} without its {{end}}`);
    return { is, pipeline: parsePipeline(text), body, otherwise };
  };
  const { nodes, ended } = block();
  if (ended !== "") throw new UsageError(`the format has an {{${ended}}} that nothing opened`);
  return nodes;
}
