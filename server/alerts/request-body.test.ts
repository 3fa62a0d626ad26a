import { expect, test } from "bun:test";
import { readBody } from "./request-body.ts";

test("a body without an announced length is read no further than its limit", async () => {
  let made = 0;
  const piece = new Uint8Array(64 * 1024).fill(32);
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      made++;
      controller.enqueue(piece);
    },
  });
  const request = new Request("http://sluice/api/alerts/rules", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: endless,
  });
  const answer = await readBody(request, (value) => ({ ok: true, value }));
  expect(answer).toBeInstanceOf(Response);
  expect((answer as Response).status).toBe(413);
  expect(made).toBeLessThan(10);
});
