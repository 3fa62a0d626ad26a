import { createHash } from "node:crypto";

/**
 * Ids are made of what they name, so that whoever decides the same thing again, after a crash or on another instance, gives it
 * the same id, and a receiver that has seen it knows so.
 */
function identity(prefix: string, ...parts: readonly (string | number)[]): string {
  return `${prefix}_${createHash("sha256").update(parts.join("\0")).digest("base64url").slice(0, 22)}`;
}

/** An alarm: a rule, a series, and when it began. */
export const alertId = (seriesKey: string, startedMs: number): string => identity("al", seriesKey, startedMs);

/** A change of an alarm's state at a time. */
export const transitionId = (alert: string, to: string, atMs: number): string => identity("tr", alert, to, atMs);

/** A message: the channel and what it tells. */
export const messageId = (channelId: string, ...tells: readonly (string | number)[]): string =>
  identity("msg", channelId, ...tells);

/** A rule or channel of ALERTS_FILE is known by its name, a silence by all of it: the file has no ids. */
export const fileId = (kind: "rule" | "channel" | "silence", name: string): string => identity(kind, "file", name);

export const randomId = (kind: "rule" | "channel" | "silence"): string =>
  `${kind}_${crypto.randomUUID().replaceAll("-", "")}`;
