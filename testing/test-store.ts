import { Readable } from "node:stream";
import { type ClickHouseClient, ClickHouseLogLevel, createClient } from "@clickhouse/client";
import type { Event } from "../contract/event.ts";
import { RowEncoder } from "../contract/row.ts";
import { applySchema } from "../ddl/apply.ts";
import { type InsertSettings, readInsertSettings } from "../ddl/insert-settings.ts";
import { PASSWORD, startTestEngine, type TestEngine } from "./test-engine.ts";

/** An event with its times, as the encoder gets it. */
export interface TestEvent extends Event {
  timestamp: number;
  received_at?: number;
}

/** A real engine, and databases in it that have the schema; for tests. */
export interface TestStore {
  engine: TestEngine;
  /** A new database, with the schema unless told otherwise, and a client that has it as its default. */
  createDatabase(options?: { schema?: boolean }): Promise<TestDatabase>;
  stop(): Promise<void>;
}

export interface TestDatabase {
  name: string;
  client: ClickHouseClient;
  run(sql: string): Promise<void>;
  rows<T>(sql: string): Promise<T[]>;
  /** As the writer does it: RowBinary, the pinned settings, a token; `more` comes after the pinned ones. */
  insert(events: readonly TestEvent[], token: string, more?: InsertSettings): Promise<void>;
}

export async function startTestStore(): Promise<TestStore> {
  const engine = await startTestEngine();
  const clients: ClickHouseClient[] = [];
  const connect = (database: string) => {
    const client = createClient({
      url: engine.url,
      username: "default",
      password: PASSWORD,
      database,
      log: { level: ClickHouseLogLevel.OFF },
    });
    clients.push(client);
    return client;
  };
  const admin = connect("default");
  return {
    engine,
    async createDatabase({ schema = true } = {}) {
      const name = `test_${clients.length}`;
      if (schema) await applySchema({ client: admin, database: name, retentionDays: 90 });
      else await admin.command({ query: `CREATE DATABASE ${name}` });
      return createTestDatabase(name, connect(name));
    },
    async stop() {
      await Promise.all(clients.map((client) => client.close()));
      await engine.stop();
    },
  };
}

function createTestDatabase(name: string, client: ClickHouseClient): TestDatabase {
  return {
    name,
    client,
    async run(sql) {
      await client.command({ query: sql });
    },
    async rows<T>(sql: string) {
      const result = await client.query({ query: sql, format: "JSONEachRow" });
      return result.json<T>();
    },
    async insert(events, token, more = {}) {
      const encoder = new RowEncoder();
      for (const event of events) encoder.encode(event, event.timestamp, event.received_at ?? event.timestamp);
      const settings = await readInsertSettings(client);
      const result = await client.exec({
        query: "INSERT INTO telemetry_events FORMAT RowBinary",
        values: Readable.from([Buffer.from(encoder.bytes())]),
        clickhouse_settings: { ...settings, ...more, insert_deduplication_token: token },
      });
      for await (const _ of result.stream) throw new Error("an INSERT has no result");
    },
  };
}
