/**
 * Guest ↔ share server: a host directory, or one file, shown inside a machine. One byte stream per share, raw FUSE messages
 * (`linux/fuse.h`) in both directions; each begins with its own length (u32 LE), so nothing else frames them.
 *
 *     guest's kernel ─ /dev/fuse ─ pump in the agent ─ port `org.bulkhead.share.N` ─ VMM ─ unix socket ─ server (native/share)
 *
 *     guest      FUSE_INIT, version 7.28 or newer, first; then any requests        40 bytes to SHARE_MAX_MESSAGE_BYTES each
 *     server     one reply for each, in order                                      16 bytes to SHARE_MAX_MESSAGE_BYTES each
 *                (none for FORGET, BATCH_FORGET and INTERRUPT)
 *
 * The session ends with FUSE_DESTROY or the stream. A length outside its bounds, or another first request, ends it at once: the agent
 * then aborts the mount, so that callers fail and none hangs. The guest mounts with `default_permissions`: its kernel
 * checks who may do what, the server what may be done at all.
 *
 * A share of a file is a directory that holds this file alone, under its own name; the file is the one that was there when the machine started,
 * as with any bind mount, even if another has taken its name since.
 *
 * What a share promises: data, holes, names, links, pipes and sockets, owners, modes, times, user.* attributes, renames with and without
 * exchange, appending and syncing; the host's changes are seen at the next look, because names and attributes are believed for no time.
 * What it does not: locks between the machine and others (they hold inside the machine), inotify for the host's changes, devices, access lists
 * and other attributes, O_TMPFILE, direct access to the disk. The server holds at most 131,072 names that a guest has not forgotten
 * and 8,192 open files (fewer where the host's limit on descriptors is lower): beyond that ENFILE and EMFILE.
 */

/** A mebibyte of data, headers and names. */
export const SHARE_MAX_MESSAGE_BYTES = 1024 * 1024 + 64 * 1024;
