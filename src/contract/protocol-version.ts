/**
 * Which version of the wires (launcher, supervisor, agent: one number for all three) two ends speak with one another.
 *
 * Workloads outlive the daemon, and so do their supervisors: after an upgrade the new daemon finds supervisors, and may find a
 * launcher, of the release before. So each end speaks a range. The asker says hello with both its ends, the other answers with the
 * newest version that both speak, and from then on nobody uses anything newer on that connection:
 *
 *     ask      {"verb": "hello", "version": OLDEST, "newest": NEWEST}      `newest` absent: no other than `version`
 *     answer   {"version": agreed, …}                                      UNSUPPORTED, naming both ranges, where there is none
 *
 * Promise: a daemon of version N speaks N - 1 as well, so `oldest` is at most `newest` - 1 once there is a second version. A version
 * is added when an older end would misunderstand; a new optional field or verb (UNSUPPORTED where it is not known) needs none. What
 * every release said in its hello is kept in `test/fixtures/protocol` for ever.
 */
export const PROTOCOL: { readonly oldest: number; readonly newest: number } = { oldest: 1, newest: 1 };

export interface Greeting {
  readonly version: number;
  readonly newest?: number;
}
