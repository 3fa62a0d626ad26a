import { appendFileSync } from "node:fs";

/** A receiver that can be killed: what it was sent is in its file before it answers. `receiver-process.ts PORT FILE`. */
if (import.meta.main) {
  const [port, file] = process.argv.slice(2);
  Bun.serve({
    port: Number(port),
    hostname: "127.0.0.1",
    maxRequestBodySize: 2 ** 30,
    async fetch(request) {
      const body = (await request.json()) as { type: string; data: { alerts: { device_id?: string; id: string }[] } };
      const alerts = body.data.alerts.map(({ id, device_id }) => ({ id, device_id }));
      const line = JSON.stringify({ id: request.headers.get("webhook-id"), type: body.type, alerts });
      appendFileSync(file as string, `${line}\n`);
      return new Response(null, { status: 204 });
    },
  });
}
