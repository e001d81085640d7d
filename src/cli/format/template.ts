/** Carries a parsed template out. */

import { UsageError } from "../command.ts";
import { FUNCTIONS, isTrue, show } from "./template-functions.ts";
import { parseTemplate, type Node, type Operand, type Pipeline } from "./template-parser.ts";

interface Scope {
  readonly dot: unknown;
  readonly variables: ReadonlyMap<string, unknown>;
}

/** Parsed once, applied to any number of documents. */
export function compileTemplate(template: string): (data: unknown) => string {
  const nodes = parseTemplate(template.replaceAll("\\t", "\t").replaceAll("\\n", "\n"));
  return (data) => render(nodes, { dot: data, variables: new Map([["$", data]]) });
}

function render(nodes: readonly Node[], scope: Scope): string {
  let text = "";
  let here = scope;
  for (const node of nodes) {
    if (node.is === "text") text += node.text;
    else if (node.is === "action") {
      const value = evaluate(node.pipeline, here);
      if (node.pipeline.sets === undefined) text += show(value);
      else here = bind(here, node.pipeline.sets, [value]);
    } else if (node.is === "range") text += renderRange(node, here);
    else {
      const value = evaluate(node.pipeline, here);
      const inner = bind(node.is === "with" ? { ...here, dot: value } : here, node.pipeline.sets ?? [], [value]);
      text += isTrue(value) ? render(node.body, inner) : render(node.otherwise, here);
    }
  }
  return text;
}

function renderRange(node: Extract<Node, { is: "if" | "range" | "with" }>, scope: Scope): string {
  const value = evaluate(node.pipeline, scope);
  const sets = node.pipeline.sets ?? [];
  const entries: [unknown, unknown][] = Array.isArray(value)
    ? value.map((item, index) => [index, item])
    : typeof value === "object" && value !== null
      ? Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1))
      : [];
  if (entries.length === 0) return render(node.otherwise, scope);
  return entries.map(([key, item]) => render(node.body, bind({ ...scope, dot: item }, sets, sets.length > 1 ? [key, item] : [item]))).join("");
}

function bind(scope: Scope, names: readonly string[], values: readonly unknown[]): Scope {
  if (names.length === 0) return scope;
  const variables = new Map(scope.variables);
  names.forEach((name, index) => variables.set(name, values[index]));
  return { ...scope, variables };
}

function evaluate(pipeline: Pipeline, scope: Scope): unknown {
  let piped: readonly unknown[] = [];
  for (const command of pipeline.commands) piped = [call(command, scope, piped)];
  return piped[0];
}

function call(command: readonly Operand[], scope: Scope, piped: readonly unknown[]): unknown {
  const [first, ...rest] = command as [Operand, ...Operand[]];
  const values = [...rest.map((operand) => operandValue(operand, scope)), ...piped];
  if (first.is === "function") {
    const known = FUNCTIONS[first.name];
    if (known === undefined)
      throw new UsageError(`the format uses a function ${JSON.stringify(first.name)} that does not exist`, `use one of ${Object.keys(FUNCTIONS).join(", ")}`);
    return known(...values);
  }
  const value = operandValue(first, scope);
  if (typeof value === "function") return (value as (...given: unknown[]) => unknown)(...values);
  if (values.length > 0) throw new UsageError("the format gives arguments to something that is not a function");
  return value;
}

function operandValue(operand: Operand, scope: Scope): unknown {
  if (operand.is === "value") return operand.value;
  if (operand.is === "field") return follow(scope.dot, operand.path);
  if (operand.is === "pipeline") return follow(evaluate(operand.pipeline, scope), operand.path);
  if (operand.is === "function") return call([operand], scope, []);
  if (!scope.variables.has(operand.name)) throw new UsageError(`the format uses a variable ${operand.name} that nothing set`);
  return follow(scope.variables.get(operand.name), operand.path);
}

/** Exact name first, then without regard to case: users write `.ID` where the document says `Id`. Only the outermost name must exist. */
function follow(value: unknown, path: readonly string[]): unknown {
  let here = value;
  path.forEach((name, depth) => {
    if (typeof here !== "object" || here === null) {
      if (depth === 0 && here !== undefined) throw new UsageError(`the format asks for .${name}, and there are no fields here`);
      here = undefined;
      return;
    }
    const fields = here as Record<string, unknown>;
    const key = Object.hasOwn(fields, name) ? name : Object.keys(fields).find((one) => one.toLowerCase() === name.toLowerCase());
    if (key === undefined && depth === 0 && path.length > 0 && !Array.isArray(here) && Object.keys(fields).length > 0 && isDocument(here)) {
      throw new UsageError(`the format asks for .${name}, and there is no such field`, `fields here: ${Object.keys(fields).join(", ")}`);
    }
    here = key === undefined ? undefined : fields[key];
  });
  return here;
}

/** Documents have fields that begin with a capital letter; maps such as labels have any keys. */
function isDocument(value: object): boolean {
  return Object.keys(value).every((key) => /^[A-Z]/.test(key));
}
