import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Service, startService } from "../../testing/test-service.ts";
import { buildClient, dist } from "../browser/harness.ts";

let service: Service;
beforeAll(async () => {
  if (!existsSync(join(dist, "index.html"))) buildClient();
  service = await startService();
}, 60_000);
afterAll(() => service.dispose());

test.each(["gzip", "identity"])(
  "a file that a browser has is not sent again (Accept-Encoding: %s)",
  async (encoding) => {
    const html = await (await fetch(service.url)).text();
    const script = /src="(\/assets\/[^"]+)"/.exec(html)?.[1] as string;
    for (const path of [script, "/sw.js", "/manifest.webmanifest"]) {
      const headers = { "Accept-Encoding": encoding };
      const first = await fetch(service.url + path, { headers });
      const etag = first.headers.get("etag") as string;
      expect(etag).toMatch(/^W\/"[^"]+"$/);
      expect((await first.text()).length).toBeGreaterThan(0);
      const again = await fetch(service.url + path, { headers: { ...headers, "If-None-Match": etag } });
      expect([path, again.status, again.headers.get("etag"), await again.text()]).toEqual([path, 304, etag, ""]);
      expect(again.headers.get("cache-control")).toBe(first.headers.get("cache-control"));
      const changed = await fetch(service.url + path, { headers: { ...headers, "If-None-Match": 'W/"older"' } });
      expect(changed.status).toBe(200);
      await changed.body?.cancel();
    }
  },
);
