/**
 * Admission: the one question that every way into the daemon asks before anything else. It allows everything now; floors
 * by trait, image, label and tenant take their place here, and nowhere else.
 */

/** The process at the other end of a connection, as the kernel names it. */
export interface Identity {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  /** Path of the socket that it came by. */
  readonly socket?: string;
}

/** What a request would do: the route's name, what it is about, and the whole of what was asked where it makes or changes something. */
export interface Intent {
  readonly action: string;
  readonly subject?: string;
  readonly request?: unknown;
}

/** Rejects DENIED_BY_POLICY with the rule that forbids it; returns where it is allowed. */
export function authorize(_identity: Identity, _intent: Intent): void {}
