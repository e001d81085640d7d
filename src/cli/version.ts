/** This program's own version; the build writes it in. */

declare const BULKHEAD_VERSION: string | undefined;

export const CLIENT_VERSION: string = typeof BULKHEAD_VERSION === "undefined" ? "0.0.0-source" : BULKHEAD_VERSION;
