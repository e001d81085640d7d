/** One metric, a row for each subject: every sample as a dot, the median with its 95 % interval, and the 95th percentile. */

import type { Series, SubjectDescription } from "../../series.ts";
import { createRandom } from "../../statistics.ts";
import { formatFigure } from "../figure.ts";
import { scaleOf } from "./scale.ts";
import { element, line, text } from "./svg.ts";

const WIDTH = 900;
const LEFT = 190;
const RIGHT = 110;
const ROW = 34;
const TOP = 8;
const AXIS = 26;

export function drawDistribution(title: string, series: readonly Series[], subjects: readonly SubjectDescription[]): string {
  const rows = subjects.flatMap((subject) => series.filter((one) => one.subject === subject.id && one.samples.length > 0).map((one) => ({ subject, one })));
  const unit = rows[0]?.one.unit ?? "s";
  const scale = scaleOf(
    rows.flatMap(({ one }) => [...one.samples]),
    LEFT,
    WIDTH - RIGHT,
  );
  const bottom = TOP + rows.length * ROW;
  const grid = scale.ticks.map(
    (tick) =>
      line([scale.at(tick), TOP], [scale.at(tick), bottom], "grid") +
      text(scale.at(tick), bottom + 16, formatFigure(tick, unit), { "text-anchor": "middle", class: "tick" }),
  );
  const drawn = rows.map(({ subject, one }, index) => drawRow(subject, one, (value) => scale.at(value), TOP + index * ROW + ROW / 2));
  const described = rows.map(({ subject, one }) => `${subject.id} ${formatFigure(one.summary.p50, unit)}`).join(", ");
  return element(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${bottom + AXIS}`, role: "img", "aria-label": `${title}, medians: ${described}` },
    grid.join("") + drawn.join(""),
  );
}

function drawRow(subject: SubjectDescription, { samples, summary, unit }: Series, at: (value: number) => number, y: number): string {
  const random = createRandom(samples.length + subject.id.length);
  const kind = subject.id.startsWith("raw-") ? "raw" : "own";
  const dots = samples.map((value) => element("circle", { cx: at(value), cy: y + (random() - 0.5) * (ROW - 16), r: 2.4, class: `dot ${kind}` }));
  const [low, high] = summary.interval;
  return [
    text(LEFT - 12, y + 4, `${subject.id}${subject.emulated ? " (emulated)" : ""}`, { "text-anchor": "end", class: "name" }),
    ...dots,
    element("rect", { x: at(low), y: y - 5, width: Math.max(1.5, at(high) - at(low)), height: 10, class: "interval" }),
    line([at(summary.p50), y - 10], [at(summary.p50), y + 10], "median"),
    line([at(summary.p95), y - 6], [at(summary.p95), y + 6], "tail"),
    text(WIDTH - RIGHT + 10, y + 4, formatFigure(summary.p50, unit), { class: "figure" }),
  ].join("");
}
