/** The advisor's face: requirements, host and measurements in, a recommendation with its reasons out. Pure: no files, no clock. */

export { advise } from "./advice.ts";
export { type Choice, choicesFor } from "./choices.ts";
export type { Measurements } from "./figures.ts";
export { assume, type Architecture, type Host, type HostBoundary } from "./host.ts";
export { findingsOfImage } from "./image-findings.ts";
export { merge, requirementsOfImage, requirementsOfLabel } from "./image.ts";
export { layersOf } from "./layers.ts";
export { parseMeasurements } from "./measurements.ts";
export type { Assumption } from "./needs.ts";
export { parseRequirements, type Requirements } from "./requirements.ts";
export { privilegesOf, requirementsOfWorkload } from "./workload.ts";
