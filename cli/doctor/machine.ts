import { existsSync, readFileSync } from "node:fs";
import { freemem, totalmem } from "node:os";
import { type Finding, note, ok } from "./finding.ts";

/** The embedded engine may take 2 GiB, the service itself some hundred megabytes. */
const enoughMemoryBytes = 3 * 2 ** 30;
/** Of open pages; who has more of them knows. */
const manyStreams = 2_000;
/** Of the journal, the engine's connection, libraries. */
const otherFiles = 1_000;
/** The oldest events that are accepted, and the newest, are judged by this clock. */
const noEarlierMs = Date.UTC(2026, 0, 1);

export function examineMachine(streamsMax: number): Finding[] {
  return [memory(), openFiles(Math.min(streamsMax, manyStreams)), clock()];
}

function memory(): Finding {
  const total = totalmem();
  const detail = `${(total / 2 ** 30).toFixed(1)} GiB, ${(freemem() / 2 ** 30).toFixed(1)} GiB free`;
  return total < enoughMemoryBytes
    ? note("memory", detail, "the embedded engine may take 2 GiB: have 3 GiB, or use a ClickHouse elsewhere")
    : ok("memory", detail);
}

function openFiles(streams: number): Finding {
  const what = "open files";
  if (!existsSync("/proc/self/limits")) return ok(what, "the limit is not known on this system");
  const [, soft = "", hard = ""] =
    /Max open files\s+(\S+)\s+(\S+)/.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
  // The service raises its own limit to the hard one.
  const limit = hard === "unlimited" ? Number.POSITIVE_INFINITY : Number(hard);
  const detail = `${soft} allowed, ${hard} at most`;
  return limit < streams + otherFiles
    ? note(
        what,
        detail,
        "each open page and each device on a connection of its own takes one: raise LimitNOFILE, or ulimit -n",
      )
    : ok(what, detail);
}

function clock(): Finding {
  const now = new Date();
  const detail = now.toISOString();
  if (now.getTime() < noEarlierMs) return note("clock", detail, "it is in the past: set it, or start a time service");
  // What systemd-timesyncd and chrony's packages leave behind once they have set the clock.
  const keepers = [
    "/run/systemd/timesync/synchronized",
    "/run/chrony/chronyd.pid",
    "/run/ntpd.pid",
    "/var/run/ntpd.pid",
  ];
  return keepers.some((path) => existsSync(path))
    ? ok("clock", `${detail}, kept by a time service`)
    : ok("clock", detail);
}
