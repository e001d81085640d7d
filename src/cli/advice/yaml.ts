/** YAML, in a bundle of its own: half as large as the rest of the program together, and hardly ever needed. */

export { parse, stringify } from "yaml";
