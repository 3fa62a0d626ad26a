import { readFileSync } from "node:fs";
import { parseKeys } from "../../server/access/keys.ts";
import type { Config } from "../../server/config/groups.ts";
import { isLoopback } from "../../server/config/listen.ts";
import { type Finding, note, ok } from "./finding.ts";

/** Shorter secrets can be guessed. */
const soundSecretCharacters = 16;

/** Who may write and read. That the keys can be read was checked with the settings. */
export function examineKeys({ access, listen, tls }: Config): Finding[] {
  const findings = [
    keysOf(
      "ingest keys",
      access.ingestKeys,
      "anybody on this machine may write; set INGEST_KEYS before others can reach it",
    ),
    keysOf(
      "viewer keys",
      access.viewerKeys,
      "anybody on this machine may read; set VIEWER_KEYS before others can reach it",
    ),
  ];
  const open = !isLoopback(listen.host);
  if (open && tls.certFile === "") {
    findings.push(
      note(
        "encryption",
        `${listen.host} is reached without TLS`,
        "set TLS_CERT and TLS_KEY, or put a proxy with TLS in front",
      ),
    );
  }
  return findings;
}

function keysOf(what: string, setting: string, open: string): Finding {
  if (setting === "") return ok(what, open);
  const file = setting.startsWith("@") ? setting.slice(1) : null;
  const parsed = parseKeys(file === null ? setting : readFileSync(file, "utf8"), file === null ? "list" : "file", true);
  if (!parsed.ok) return note(what, parsed.reason, "sluice config says more");
  const weak = parsed.entries.filter(({ secret }) => secret.length < soundSecretCharacters).map(({ name }) => name);
  const detail = `${parsed.entries.length} of them`;
  return weak.length > 0
    ? note(
        what,
        `${detail}; ${weak.slice(0, 5).join(", ")} can be guessed`,
        "sluice keys rotate FILE NAME makes a sound secret",
      )
    : ok(what, detail);
}
