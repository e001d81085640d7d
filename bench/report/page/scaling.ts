/** What N instances take of memory: the measured median of one, times N, with its interval as a band. Computed, and said to be. */

import type { Series, SubjectDescription } from "../../series.ts";
import { formatFigure } from "../figure.ts";
import { scaleOf } from "./scale.ts";
import { element, line, text } from "./svg.ts";

const WIDTH = 900;
const HEIGHT = 320;
const [LEFT, RIGHT, TOP, BOTTOM] = [80, 210, 12, 30];
const MOST = 1000;
/** Height of a name. */
const LINE = 14;

export function drawScaling(series: readonly Series[], subjects: readonly SubjectDescription[], hostBytes: number): string {
  const lines = subjects.flatMap((subject) => {
    const one = series.find((candidate) => candidate.subject === subject.id && candidate.metric === "memory_overhead");
    return one === undefined || subject.id.startsWith("raw-") || !(one.summary.p50 > 0) ? [] : [{ subject, summary: one.summary }];
  });
  if (lines.length === 0) return "";
  const x = scaleOf([1, MOST], LEFT, WIDTH - RIGHT);
  const y = scaleOf([...lines.flatMap(({ summary }) => [summary.p50, summary.p50 * MOST]), hostBytes], HEIGHT - BOTTOM, TOP);
  const grid = [
    ...x.ticks.map(
      (tick) =>
        line([x.at(tick), TOP], [x.at(tick), HEIGHT - BOTTOM], "grid") + text(x.at(tick), HEIGHT - 10, `${tick}`, { "text-anchor": "middle", class: "tick" }),
    ),
    ...y.ticks.map(
      (tick) =>
        line([LEFT, y.at(tick)], [WIDTH - RIGHT, y.at(tick)], "grid") +
        text(LEFT - 8, y.at(tick) + 4, formatFigure(tick, "bytes"), { "text-anchor": "end", class: "tick" }),
    ),
  ];
  const host = line([LEFT, y.at(hostBytes)], [WIDTH - RIGHT, y.at(hostBytes)], "host");
  const drawn = lines.map(({ summary }) => {
    const [low, high] = summary.interval.map((bound) => Math.max(bound, 1)) as [number, number];
    const points = (bytes: number): string => `${x.at(1).toFixed(1)},${y.at(bytes).toFixed(1)} ${x.at(MOST).toFixed(1)},${y.at(bytes * MOST).toFixed(1)}`;
    const back = `${x.at(MOST).toFixed(1)},${y.at(low * MOST).toFixed(1)} ${x.at(1).toFixed(1)},${y.at(low).toFixed(1)}`;
    return element("polygon", { points: `${points(high)} ${back}`, class: "band" }) + element("polyline", { points: points(summary.p50), class: "rise" });
  });
  const names = lines.map(({ subject, summary }) => ({ y: y.at(summary.p50 * MOST), words: `${subject.id}${subject.emulated ? " (emulated)" : ""}` }));
  drawn.push(
    ...spread([...names, { y: y.at(hostBytes), words: "this host's memory" }]).map((one) => text(WIDTH - RIGHT + 8, one.y + 4, one.words, { class: "name" })),
  );
  return element(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": "memory of one to a thousand idle instances" },
    [...grid, host, ...drawn].join(""),
  );
}

/** Names that would stand on each other, moved apart downwards. */
function spread(names: readonly { readonly y: number; readonly words: string }[]): { readonly y: number; readonly words: string }[] {
  let last = Number.NEGATIVE_INFINITY;
  return names
    .toSorted((one, other) => one.y - other.y)
    .map(({ y, words }) => {
      last = Math.max(y, last + LINE);
      return { y: last, words };
    });
}
