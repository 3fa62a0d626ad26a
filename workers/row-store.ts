import { unlink } from "node:fs/promises";
import { Readable } from "node:stream";
import { type ClickHouseClient, ClickHouseError } from "@clickhouse/client";
import { rowColumns } from "../contract/row.ts";
import {
  clusterInsertSettings,
  type InsertSettings,
  ownStatesToken,
  readInsertSettings,
} from "../ddl/insert-settings.ts";
import {
  type ClickHouseAddress,
  connectClickHouse,
  exceptionIn,
  readAll,
  requireClickHouse,
} from "./clickhouse-client.ts";
import { type ColumnMaker, rowsIn } from "./columns/column-maker.ts";
import type { MadeBlock, MadeColumns } from "./columns/protocol.ts";
import type { BatchPart } from "./journal/journal.ts";

/**
 * `stored`: ClickHouse has confirmed every row, and its rollups. `too_large`: nothing was sent, and the halves are to be inserted
 * instead. That is always the same for the same rows, and never said of one row.
 */
export type InsertOutcome = "stored" | "too_large";

export interface RowStore {
  /** Throws what `classifyFailure` sorts. */
  insert(part: BatchPart, token: string, timeoutMs: number): Promise<InsertOutcome>;
  /** Runs one reading statement and gives the whole answer. */
  query(sql: string, timeoutMs: number): Promise<Uint8Array<ArrayBuffer>>;
  /** For the schema. */
  readonly client: ClickHouseClient;
  /** After a failure: goes on with the next address, if there is one. */
  failOver(): void;
  close(): Promise<void>;
}

/**
 * The rows are in their table, and what was made of them was refused. To be repeated as a whole: halves under tokens of their own
 * would store the rows a second time.
 */
export class StatesRefusedError extends Error {}

/**
 * What the rollups of one insert may take in ClickHouse: the quantile states of all (second, event type) groups that its
 * rows fall into. The three rollups hold them at once, in turn as 1 s, 1 min and 1 h, so an insert peaks at up to three times this
 * (768 MiB; the embedded engine has 2 GiB, and readers may take as much again). A day's readings of the second, sent at once, or
 * thousands of types are more. Such an insert fails behind the raw rows, and would for ever; to split it then would store the raw
 * rows twice. So it is split before it is sent.
 */
const rollupBytesMax = 256 * 2 ** 20;

/** Longest answer that `query` takes: a rollup window of every type that the live view may hold. */
const maxAnswerBytes = 256 * 2 ** 20;
/** As long as a timer goes. */
const noTimeoutMs = 2 ** 31 - 1;

/** One block and the table that it is for. */
interface BlockInsert {
  readonly table: string;
  readonly columns: readonly string[];
  readonly block: MadeBlock;
}

/** Fewer rows without states go in as they are: there is little to gain, and they are never too much at once. */
const columnsRowsMin = 3_500;
/**
 * So do more than these, which only an earlier release can have left: columns are made in 4 GiB, and that would take more. A batch
 * of this release ends at 2,000,000 rows and 512 MiB, or an epoch later.
 */
const columnsRowsMax = 3_000_000;
const columnsBytesMax = 768 * 2 ** 20;

const rollupColumns = [
  "time",
  "event_type",
  "event_count",
  "value_count",
  "value_sum",
  "value_min",
  "value_max",
  "value_quantiles",
] as const;

const deviceColumns = [
  "device_id",
  "first_seen",
  "last_seen",
  "event_count",
  "recent_reports",
  "first_received",
  "last_received",
  "newest_metadata",
] as const;

/**
 * Inserts batches by columns, as blocks in ClickHouse's Native format that are sorted by the table's key: parsing and sorting are most
 * of what an insert of rows costs. On the embedded engine, whose states we know how to make, `telemetry_1s` and `devices` get
 * theirs from us as well, and all three go in under one token that the views pass over.
 * docs/decisions/102-batches-by-columns.md.
 */
export function createRowStore(address: ClickHouseAddress, maker: ColumnMaker, requestTimeoutMs: number): RowStore {
  // The database may not be there before the schema is applied; statements name it themselves.
  const connect = (url: string, timeoutMs: number): ClickHouseClient =>
    connectClickHouse(address, { url, database: "default", requestTimeoutMs: timeoutMs });
  const clients = address.urls.map((url) => connect(url, requestTimeoutMs));
  // Inserts have their own deadline, which grows; the client's, which does not, would end them first.
  const insertClients = address.urls.map((url) => connect(url, noTimeoutMs));
  let current = 0;
  const { cluster = null, handover = null } = address;
  const eventTable = cluster === null ? "telemetry_events" : "telemetry_events_local";
  const settings = createServerSettings(cluster);
  const pick = (from: readonly ClickHouseClient[]): ClickHouseClient => from[current % from.length] as ClickHouseClient;
  const client = (): ClickHouseClient => pick(clients);

  const insertInto = (table: string, columns: readonly string[]): string =>
    `INSERT INTO \`${address.database}\`.${table} (${columns.join(", ")})`;

  function insertBlock({ table, columns, block }: BlockInsert, token: string, signal: AbortSignal): Promise<void> {
    const target = insertInto(table, columns);
    const statement =
      block.kind === "file"
        ? {
            query: `${target} FROM INFILE '${block.path.replaceAll(/['\\]/g, "\\$&")}' COMPRESSION 'none' FORMAT Native`,
          }
        : { query: `${target} FORMAT Native`, values: Readable.from(block.pieces) };
    return runInsert(statement, token, signal);
  }

  /** The rows as they lie in the journal; the views do the rest. */
  async function insertRows({ batch, range }: BatchPart, token: string, signal: AbortSignal): Promise<void> {
    const values = batch.body(range ?? undefined);
    try {
      await runInsert({ query: `${insertInto(eventTable, rowColumns)} FORMAT RowBinary`, values }, token, signal);
    } finally {
      values.destroy();
    }
  }

  async function runInsert(
    statement: { readonly query: string; readonly values?: Readable },
    token: string,
    signal: AbortSignal,
  ): Promise<void> {
    const insertClient = pick(insertClients);
    const pinned = await settings.of(client());
    const result = await insertClient.exec({
      ...statement,
      abort_signal: signal,
      clickhouse_settings: { ...pinned, insert_deduplication_token: token, wait_end_of_query: 1 },
    });
    requireClickHouse(result);
    const answer = await readAll(result.stream, 64 * 1024);
    // A confirmed insert has an empty body. ClickHouse may send its 200 before it fails, with the exception after it.
    if (answer.length > 0) throw exceptionIn(new TextDecoder().decode(answer));
  }

  async function insertColumns({ events, states }: MadeColumns, token: string, signal: AbortSignal): Promise<void> {
    const rows = { table: eventTable, columns: rowColumns, block: events };
    if (states === null) return insertBlock(rows, token, signal);
    const ownToken = ownStatesToken(token);
    await insertBlock(rows, ownToken, signal);
    // Each table remembers tokens for itself: whatever of the three an earlier attempt brought in is passed over.
    try {
      await insertBlock({ table: "telemetry_1s", columns: rollupColumns, block: states.rollups }, ownToken, signal);
      await insertBlock({ table: "devices", columns: deviceColumns, block: states.devices }, ownToken, signal);
    } catch (error) {
      throw error instanceof ClickHouseError ? new StatesRefusedError(error.message, { cause: error }) : error;
    }
  }

  return {
    get client() {
      return client();
    },
    failOver() {
      settings.forget(client());
      current++;
    },
    async insert(part, token, timeoutMs) {
      const wantsStates = handover !== null && part.batch.ownStates;
      // The form of the rows is free at each attempt; only the tokens are not, and they hang on `ownStates`.
      const isSmall = rowsIn(part) < columnsRowsMin;
      const isHuge = rowsIn(part) > columnsRowsMax || part.batch.bytes > columnsBytesMax;
      const asRows = !wantsStates && (isSmall || isHuge);
      const made = asRows ? null : await maker.make(part, { wantsStates, directory: handover });
      const deadline = createDeadline(timeoutMs);
      try {
        if (made !== null && rowsIn(part) > 1 && made.rollupBytes > rollupBytesMax) return "too_large";
        await settings.checkShard(client());
        await (made === null ? insertRows(part, token, deadline.signal) : insertColumns(made, token, deadline.signal));
        return "stored";
      } catch (error) {
        throw deadline.signal.aborted ? deadline.signal.reason : error;
      } finally {
        deadline.end();
        if (made !== null) await removeFiles(made);
      }
    },
    async query(sql, timeoutMs) {
      const deadline = createDeadline(timeoutMs);
      try {
        const result = await client().exec({ query: sql, abort_signal: deadline.signal });
        requireClickHouse(result);
        return await readAll(result.stream, maxAnswerBytes);
      } catch (error) {
        throw deadline.signal.aborted ? deadline.signal.reason : error;
      } finally {
        deadline.end();
      }
    },
    async close() {
      await Promise.all([...clients, ...insertClients].map((each) => each.close()));
    },
  };
}

function createDeadline(timeoutMs: number): { signal: AbortSignal; end: () => void } {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(new Error(`no answer after ${timeoutMs} ms`)), timeoutMs);
  return { signal: abort.signal, end: () => clearTimeout(timer) };
}

async function removeFiles({ events, states }: MadeColumns): Promise<void> {
  const blocks = states === null ? [events] : [events, states.rollups, states.devices];
  for (const block of blocks) if (block.kind === "file") await unlink(block.path);
}

/** What each server is told. Asked again after a failure: it may come back as another release. */
function createServerSettings(cluster: string | null) {
  const known = new Map<ClickHouseClient, InsertSettings>();
  const shards = new Map<ClickHouseClient, string>();
  return {
    async of(client: ClickHouseClient): Promise<InsertSettings> {
      const found = known.get(client);
      if (found) return found;
      const read = await readInsertSettings(client);
      const pinned = cluster === null ? read : { ...read, ...clusterInsertSettings };
      known.set(client, pinned);
      return pinned;
    },
    forget: (client: ClickHouseClient): void => void known.delete(client),
    /** A token means nothing on another shard: failing over to one would store a batch twice. */
    async checkShard(client: ClickHouseClient): Promise<void> {
      if (cluster === null || shards.has(client)) return;
      const result = await client.query({ query: "SELECT getMacro('shard') AS shard", format: "JSONEachRow" });
      const [row] = await result.json<{ shard: string }>();
      const [first] = shards.values();
      if (row === undefined || (first !== undefined && first !== row.shard)) {
        throw new Error(`CLICKHOUSE_URL names replicas of different shards: ${first} and ${row?.shard}`);
      }
      shards.set(client, row.shard);
    },
  };
}
