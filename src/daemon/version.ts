/** The build writes the version in; from a checkout there is none. */

declare const BULKHEAD_VERSION: string | undefined;

export const VERSION: string = typeof BULKHEAD_VERSION === "string" ? BULKHEAD_VERSION : "0.0.0-checkout";
