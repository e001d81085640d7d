/** How a failure looks over HTTP. Total over the codes: a new code without a status does not compile. */

import { type Failure, type FailureCode, type FailureDocument, REMEDIES } from "../contract/failure.ts";

export const HTTP_STATUS: Readonly<Record<FailureCode, number>> = {
  INVALID_SPEC: 400,
  NOT_FOUND: 404,
  ALREADY_EXISTS: 409,
  WRONG_STATE: 409,
  UNCHANGED: 304,
  UNSUPPORTED: 501,
  UNAVAILABLE: 503,
  DENIED_BY_POLICY: 403,
  UNAUTHENTICATED: 401,
  CORRUPT_DATA: 400,
  EXHAUSTED: 507,
  // Docker answers 400 for a command that cannot be started; its client tells 126 from 127 by the words below.
  COMMAND_NOT_FOUND: 400,
  COMMAND_NOT_EXECUTABLE: 400,
  TIMED_OUT: 504,
  CANCELLED: 499,
  CONNECTION_LOST: 502,
  INTERNAL: 500,
};

/** What the stock client looks for in the message of a failed start, to exit 127 or 126. */
const CLIENT_WORDS: Partial<Record<FailureCode, { readonly any: readonly string[]; readonly add: string }>> = {
  COMMAND_NOT_FOUND: { any: ["executable file not found", "no such file or directory"], add: "executable file not found in $PATH" },
  COMMAND_NOT_EXECUTABLE: { any: ["permission denied", "is a directory"], add: "permission denied" },
};

/** Docker's `{message}`, which its client prints, and beside it our own fields for programs. */
export interface ErrorBody {
  readonly message: string;
  readonly code: FailureCode;
  readonly what: string;
  readonly remedy: string;
  readonly boundary?: string;
  readonly workload?: string;
}

export function errorBody(failure: Failure): ErrorBody {
  const { code, what, remedy, boundary, workload } = withRemedy(failure);
  return {
    message: messageOf(failure),
    code,
    what,
    remedy,
    ...(boundary === undefined ? {} : { boundary }),
    ...(workload === undefined ? {} : { workload }),
  };
}

/** As it leaves the daemon: nobody is left without a word about what to do. */
export function withRemedy(failure: Failure): FailureDocument & { readonly remedy: string } {
  return { ...failure.toJSON(), remedy: failure.remedy ?? REMEDIES[failure.code] };
}

/** The sentence with its remedy on a line of its own, as a person at the stock client reads it. */
export function messageOf(failure: Failure): string {
  const sentence = withClientWords(failure);
  return failure.remedy === undefined ? sentence : `${sentence}\n${failure.remedy}`;
}

function withClientWords({ code, message }: Failure): string {
  const words = CLIENT_WORDS[code];
  if (words === undefined) return message;
  for (const word of words.any) {
    const at = message.toLowerCase().indexOf(word);
    // The client compares letter by letter; the kernel's own words begin with a capital.
    if (at >= 0) return message.slice(0, at) + word + message.slice(at + word.length);
  }
  return `${message}: ${words.add}`;
}
