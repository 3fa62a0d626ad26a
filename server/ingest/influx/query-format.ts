import { Refusal } from "../../http/refusal.ts";
import { type IngestFormat, noRejects, type Reading, type Rejects } from "../format.ts";
import { influxCredential } from "./credential.ts";
import { influxError } from "./errors.ts";

const createDatabase = /^\s*CREATE\s+DATABASE\s+(?:"(?:\\.|[^"\\])+"|[\w.-]+)(?:\s+WITH\s[^;]*)?\s*;?\s*$/i;
const decoder = new TextDecoder();

/**
 * `/query`, as far as clients of InfluxDB 1.x ask it before they write: `CREATE DATABASE`, which has nothing to do here. It goes the
 * way of a write, with its limits and its key, and brings no events.
 */
export function createQueryFormat(): IngestFormat {
  return {
    protocol: "influx",
    credential: influxCredential,
    open: (request) => new QueryReading(new URL(request.url).searchParams.get("q")),
    refuse: influxError,
  };
}

class QueryReading implements Reading {
  readonly protocol = "influx";
  readonly waitStored = false;
  readonly #query: string | null;

  constructor(query: string | null) {
    this.#query = query;
  }

  stage(body: Uint8Array): Rejects | Refusal {
    const query = this.#query ?? new URLSearchParams(decoder.decode(body)).get("q") ?? "";
    if (createDatabase.test(query)) return noRejects;
    return new Refusal("malformed_request", "the only query here is CREATE DATABASE; events are read under /api");
  }

  conclude(): string {
    return "";
  }

  respond(): Response {
    return Response.json({ results: [{ statement_id: 0 }] });
  }
}
