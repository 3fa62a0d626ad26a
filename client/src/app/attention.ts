import type { ConnectionView } from "../live/connection.ts";
import type { Vitals } from "../live/figures.ts";

/** What the tab says of the fleet while somebody looks elsewhere. */
export interface Attention {
  tone: "calm" | "warn" | "bad";
  /** On the icon; 0 is none. */
  count: number;
  /** Before the page's name in the title; empty when all is well. */
  words: string;
}

export function attentionTo(connection: ConnectionView["kind"], vitals: Vitals, firing: number): Attention {
  if (connection === "reconnecting") return { tone: "bad", count: 0, words: "No connection" };
  if (connection === "offline") return { tone: "warn", count: 0, words: "Offline" };
  const parts = [
    firing > 0 ? `${firing} ${firing === 1 ? "alert" : "alerts"}` : "",
    vitals.silent > 0 ? `${vitals.silent} silent` : "",
    vitals.clickhouse === "ok" ? "" : "Not stored",
  ].filter((part) => part !== "");
  return {
    tone: firing > 0 || vitals.clickhouse !== "ok" ? "bad" : vitals.silent > 0 ? "warn" : "calm",
    count: firing > 0 ? firing : vitals.silent,
    words: parts.join(", "),
  };
}
