import { afterEach, beforeEach, expect, test } from "vitest";
import { ShellPlace } from "./testkit/shell-place.ts";

let place: ShellPlace;
beforeEach(() => {
  place = new ShellPlace();
  place.write("systemd/is-here", "");
  // Answers once something has started it.
  place.fake("bulkhead", `case $1 in info) [ -e '${place.path("up")}' ] ;; daemon) touch '${place.path("up")}' ;; esac`);
});
afterEach(() => place.remove());

const systemctl = (known: boolean, starts = true) =>
  place.fake("systemctl", `case $1 in cat) ${known} ;; start) ${starts} && touch '${place.path("up")}' ;; esac`);
const start = (systemd = place.path("systemd")) =>
  place.run(`. ${process.cwd()}/scripts/say.sh; . ${process.cwd()}/scripts/daemon.sh; systemd_mark=${systemd} daemon_log=${place.path("log")}; start_daemon`, {
    in: place.directory,
  });
const started = () => place.calls.filter((call) => / (daemon|start)\b/.test(call));

test("a daemon that answers is let be", () => {
  place.write("up", "");
  systemctl(true);
  expect(start().stdout).toContain("already answers");
  expect(started()).toEqual([]);
});

test("systemd starts the daemon where it knows our unit", () => {
  systemctl(true);
  const { code, stdout } = start();
  expect(code).toBe(0);
  expect(stdout).toContain("journalctl -u bulkhead");
  expect(started()).toEqual(["systemctl start bulkhead.service"]);
});

test("the daemon is begun in the background where systemd does not know it, or is not process 1", () => {
  systemctl(false);
  expect(start().code).toBe(0);
  expect(started()).toEqual(["bulkhead daemon"]);
  place.run(`rm ${place.path("up")} ${place.path("calls")}`);
  systemctl(true);
  expect(start("/nowhere").code).toBe(0);
  expect(started()).toEqual(["bulkhead daemon"]);
});

test("a unit that does not start is an error, and nothing is begun beside it", () => {
  systemctl(true, false);
  const { code, stderr } = start();
  expect(code).toBe(1);
  expect(stderr).toContain("Remedy: journalctl -u bulkhead");
  expect(started()).toEqual(["systemctl start bulkhead.service"]);
});
