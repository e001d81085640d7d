/** Pieces of SVG as text. Everything from outside goes through `escape`. */

export function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;").replaceAll("'", "&#39;");
}

export function element(name: string, attributes: Readonly<Record<string, string | number>>, inside = ""): string {
  const written = Object.entries(attributes).map(([key, value]) => ` ${key}="${typeof value === "number" ? Number(value.toFixed(2)) : escape(value)}"`);
  return inside === "" ? `<${name}${written.join("")}/>` : `<${name}${written.join("")}>${inside}</${name}>`;
}

export function line(from: readonly [number, number], to: readonly [number, number], kind: string): string {
  return element("line", { x1: from[0], y1: from[1], x2: to[0], y2: to[1], class: kind });
}

export function text(x: number, y: number, words: string, attributes: Readonly<Record<string, string | number>> = {}): string {
  return element("text", { x, y, ...attributes }, escape(words));
}
