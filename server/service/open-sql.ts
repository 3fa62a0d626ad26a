import { type ClickHouseAddress, connectClickHouse } from "../../workers/clickhouse-client.ts";
import { createGate } from "../query/gate.ts";
import { createSqlRunner, type SqlRunner } from "../query/sql/sql-runner.ts";

/** Queries that people wrote: so many at once, so many wait for so long. */
const runningMax = 2;
const waitingMax = 8;
const waitMaxMs = 5_000;
const requestTimeoutMs = 25_000;

/** The embedded engine takes whoever gives no credentials for a reader, who may only read. */
export function openSql(address: ClickHouseAddress, embedded: boolean, starting: () => boolean): SqlRunner {
  const { urls, database } = address;
  const reader = embedded ? { ...address, user: "default", password: "" } : address;
  return createSqlRunner(
    {
      client: connectClickHouse(reader, { url: urls[0] as string, database, requestTimeoutMs }),
      gate: createGate(runningMax, waitingMax, waitMaxMs),
      starting,
    },
    { database, embedded },
  );
}
