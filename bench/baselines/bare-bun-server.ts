/** The least that a Bun server can do with a request: parse its body, answer 202, keep nothing. */
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: Number(Bun.argv[2]),
  routes: {
    "/ingest": {
      POST: async (request) => {
        const body = await request.json();
        return Response.json({ status: "queued", event_count: body.events.length }, { status: 202 });
      },
    },
  },
  fetch: () => new Response("ready"),
});
console.log(`listening on ${server.port}`);
