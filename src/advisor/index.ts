/** The advisor's face: requirements, host and measurements in, a recommendation with its reasons out. Pure: no files, no clock. */

export { type Advice, advise, type Evidence, type Recommendation } from "./advice.ts";
export type { Question } from "./decide.ts";
export type { Measurements } from "./figures.ts";
export { assume, ASSUMPTIONS, type Architecture, type Host, type HostBoundary } from "./host.ts";
export { parseRequirements, type Requirements, REQUIREMENTS_SCHEMA } from "./requirements.ts";
export { type ImageFacts, merge, REQUIREMENTS_LABEL, requirementsOfImage } from "./image.ts";
export { parseMeasurements } from "./measurements.ts";
