import { join } from "node:path";
import { findFreePort } from "../base/free-port.ts";
import { answersOk, bunPath, type StartedProcess, startProcess, waitUntil } from "./processes.ts";
import type { StoredTotals } from "./target.ts";

/** Where a ClickHouse answers over HTTP, and as whom. */
export interface ClickHouseAddress {
  port: number;
  user: string;
  password: string;
}

export const projectRoot = join(import.meta.dirname, "..");

/** Sends a statement and gives the answer's text. Throws with ClickHouse's own words when it refuses. */
export async function query(address: ClickHouseAddress, sql: string): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${address.port}/`, {
    method: "POST",
    body: sql,
    headers: { "X-ClickHouse-User": address.user, "X-ClickHouse-Key": address.password },
    signal: AbortSignal.timeout(60_000),
  });
  const text = await response.text();
  if (!response.ok)
    throw new Error(`ClickHouse answered ${response.status} to ${sql.slice(0, 80)}: ${text.slice(0, 300)}`);
  return text;
}

/** Rows of one statement as text cells. */
export async function queryCells(address: ClickHouseAddress, sql: string): Promise<string[][]> {
  const text = await query(address, `${sql} FORMAT TabSeparated`);
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => line.split("\t"));
}

/** Count and sum of what one statement gives as its first two columns. */
export async function queryTotals(address: ClickHouseAddress, place: string, sql: string): Promise<StoredTotals> {
  const [cells] = await queryCells(address, sql);
  return { place, events: Number(cells?.[0] ?? 0), valueSum: Number(cells?.[1] ?? 0) };
}

/** The embedded engine on its own, as a plain ClickHouse for the baselines that bring their own table. */
export async function startEngine(
  name: string,
  directory: string,
): Promise<{ address: ClickHouseAddress; process: StartedProcess }> {
  const address = { port: findFreePort(), user: "default", password: crypto.randomUUID() };
  const process = startProcess({
    name,
    command: [bunPath, join(projectRoot, "workers/engine/main.ts")],
    directory,
    workingDirectory: projectRoot,
    input: JSON.stringify({ dataDir: directory, port: address.port, password: address.password, detached: true }),
  });
  await waitUntil("/ping", process, () => answersOk(`http://127.0.0.1:${address.port}/ping`), 60_000);
  return { address, process };
}
