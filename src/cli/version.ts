/** This program's own version; the build writes it in. */

declare const BULKHEAD_VERSION: string | undefined;

export const CLIENT_VERSION: string = typeof BULKHEAD_VERSION === "undefined" ? "0.0.0-source" : BULKHEAD_VERSION;

/** False where the sources run as they are. */
export const IS_BUILT: boolean = typeof BULKHEAD_VERSION !== "undefined";
