/** The least that an Elysia server can do with a request: parse its body, answer 202, keep nothing. */
import { Elysia } from "elysia";

new Elysia()
  .get("/", () => "ready")
  .post(
    "/ingest",
    ({ body, status }) => {
      const { events } = body as { events: unknown[] };
      return status(202, { status: "queued", event_count: events.length });
    },
    { parse: "json" },
  )
  .listen({ hostname: "127.0.0.1", port: Number(Bun.argv[2]) });
