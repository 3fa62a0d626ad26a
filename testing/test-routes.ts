import type { Static, TSchema } from "typebox";
import { Compile } from "typebox/compile";
import type { LogFields, LogLevel } from "../base/log.ts";
import { ErrorAnswer } from "../contract/error.ts";
import type { ReaderOptions } from "../server/query/reader.ts";
import { createQueryRoutes } from "../server/query/routes.ts";
import type { TestDatabase } from "./test-store.ts";

export type TestQuery = Record<string, string | number | readonly string[] | undefined>;

/** The routes on a real database, asked without a port. */
export interface TestRoutes {
  fetch(path: string, query?: TestQuery): Promise<Response>;
  /** Asks, and holds the answer to the contract. */
  get<T extends TSchema>(schema: T, path: string, query?: TestQuery): Promise<Static<T>>;
  /** Asks for what must be refused, and holds the refusal to the contract. */
  refused(path: string, query?: TestQuery): Promise<{ status: number; code: string; message: string }>;
  logged: { level: LogLevel; message: string; fields: LogFields | undefined }[];
}

export function createTestRoutes(
  clickhouse: TestDatabase["client"],
  now: () => number = Date.now,
  options: ReaderOptions = {},
): TestRoutes {
  const logged: TestRoutes["logged"] = [];
  const app = createQueryRoutes(
    { clickhouse, now, log: (level, message, fields) => logged.push({ level, message, fields }) },
    options,
  );
  const fetch = (path: string, query: TestQuery = {}): Promise<Response> => {
    const params = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) {
      if (value === undefined) continue;
      for (const each of Array.isArray(value) ? value : [value]) params.append(name, String(each));
    }
    return app.handle(new Request(`http://sluice.test${path}?${params}`));
  };
  return {
    fetch,
    async get(schema, path, query) {
      const response = await fetch(path, query);
      const body: unknown = await response.json();
      if (response.status !== 200) throw new Error(`${response.status} ${JSON.stringify(body)}`);
      const check = Compile(schema);
      if (!check.Check(body)) throw new Error(`not as the contract says: ${JSON.stringify(check.Errors(body)[0])}`);
      return body;
    },
    async refused(path, query) {
      const response = await fetch(path, query);
      const body: unknown = await response.json();
      if (!Compile(ErrorAnswer).Check(body)) throw new Error(`not an error answer: ${JSON.stringify(body)}`);
      return { status: response.status, code: body.error.code, message: body.error.message };
    },
    logged,
  };
}
