import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Service, startService, until } from "../../testing/test-service.ts";
import { startWebhookReceiver, type WebhookReceiver } from "../../testing/webhook-receiver.ts";
import { alertsOf } from "./rig.ts";

let service: Service;
let receiver: WebhookReceiver;
beforeAll(async () => {
  receiver = startWebhookReceiver();
  service = await startService({ ALLOW_PRIVATE_WEBHOOKS: "1" });
}, 120_000);
afterAll(async () => {
  await service?.dispose();
  await receiver?.stop();
});

const value = (device_id: string, value_float: number) => ({ device_id, event_type: "temperature", value_float });

test("an event above the threshold is an alert within a second, and a signed message; so is its end", async () => {
  const api = alertsOf(service);
  const grouping = { wait: "100ms", interval: "100ms" };
  const channel = await api.createChannel({ name: "ops", kind: "webhook", url: receiver.url, grouping });
  expect(channel.secret).toStartWith("whsec_");
  receiver.secret = channel.secret ?? null;
  await api.createRule({
    name: "hot",
    severity: "critical",
    message: "{{device_id}} is at {{value}} in {{meta.room}}",
    when: { kind: "value", event_type: "temperature", measure: "last", above: 30 },
  });
  await service.ingest([{ ...value("d1", 31.5), metadata: { room: "attic" } }, value("d2", 29)]);
  const ackedMs = performance.now();
  const [alert] = await until("the alert", async () => {
    const list = await api.list("?state=firing");
    return list.length > 0 && list;
  });
  expect(performance.now() - ackedMs).toBeLessThan(1_000);
  expect(alert).toMatchObject({ rule: "hot", device_id: "d1", state: "firing", value: 31.5, silenced: false });
  const message = await until("the message", () => receiver.received[0]);
  expect(message.fault).toBeNull();
  expect(message.body).toMatchObject({
    type: "alert.firing",
    data: { alerts: [{ id: alert?.id, device_id: "d1", state: "firing", value: 31.5 }], group: { channel: "ops" } },
  });
  await service.ingest([value("d1", 30)]);
  const resolved = await until("the end", () => receiver.received[1]);
  expect(resolved.fault).toBeNull();
  expect(resolved.body).toMatchObject({ type: "alert.resolved", data: { alerts: [{ id: alert?.id, value: 30 }] } });
  expect((await api.history("?device_id=d1")).map(({ from, to }) => `${from}>${to}`)).toEqual([
    "firing>resolved",
    "inactive>firing",
  ]);
});

test("pending timers, alarms and messages outlive SIGKILL, and nothing is told twice", async () => {
  const api = alertsOf(service);
  await api.createRule({
    name: "slow",
    severity: "warning",
    for: "4s",
    when: { kind: "value", event_type: "pressure", measure: "last", above: 5 },
  });
  receiver.received.length = 0;
  await service.ingest([value("d3", 40), { device_id: "d3", event_type: "pressure", value_float: 6 }]);
  await until("pending", async () => (await api.list("?state=pending")).length === 1);
  await until("told", () => receiver.received.length === 1);
  await service.kill();
  service = await service.restart({ ALLOW_PRIVATE_WEBHOOKS: "1" });
  const again = alertsOf(service);
  expect((await again.list()).map(({ rule }) => rule).sort()).toEqual(["hot", "slow"]);
  await until("fired", () =>
    receiver.received.some(({ body }) => body.data.alerts.some(({ rule }) => rule === "slow")),
  );
  // A message whose delivery was not written down before the kill comes again, under the same id.
  const messages = new Map(receiver.received.map((message) => [message.id, message]));
  expect([...messages.values()].flatMap(({ body }) => body.data.alerts.map(({ rule }) => rule))).toEqual([
    "hot",
    "slow",
  ]);
  expect(receiver.received.every(({ fault }) => fault === null)).toBe(true);
});

test("the stream has what fires, at once and when it changes", async () => {
  const response = await fetch(`${service.url}/dashboard-stream`);
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  let text = "";
  const update = async (matches: (total: number) => boolean) => {
    for (;;) {
      const found = [...text.matchAll(/event: alerts\ndata: (.*)\n/g)].at(-1)?.[1];
      const parsed = found === undefined ? undefined : (JSON.parse(found) as { total: number; counts: object });
      if (parsed && matches(parsed.total)) return parsed;
      const { value: chunk } = await reader.read();
      text += new TextDecoder().decode(chunk);
    }
  };
  expect(await update(() => true)).toMatchObject({ total: 2, counts: { critical: 1, warning: 1, info: 0 } });
  await service.ingest([value("d4", 99)]);
  expect(await update((total) => total === 3)).toMatchObject({ counts: { critical: 2 } });
  await reader.cancel();
});

test("what is wrong with a body is named; a secret is never read back", async () => {
  const api = alertsOf(service);
  const post = async (path: string, body: unknown) => {
    const response = await fetch(`${service.url}/api/alerts${path}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    const { error } = (await response.json()) as { error: { code: string; message: string } };
    return `${response.status} ${error.code}: ${error.message}`;
  };
  expect(await post("/rules", { name: "x", severity: "bad", when: { kind: "silent" } })).toBe(
    "422 invalid_body: severity must be one of info, warning, critical",
  );
  expect(await post("/rules", { name: "hot", severity: "info", when: { kind: "silent" } })).toBe(
    "409 conflict: name: there is a rule hot already",
  );
  expect(await post("/silences", { matchers: { rule: "hot" }, to: "soon" })).toStartWith(
    "422 invalid_body: to must be",
  );
  expect(JSON.stringify(await api.call("GET", "/channels"))).not.toContain("whsec_");
});

test("a silence stops messages and no state, and an acknowledgement is seen", async () => {
  const api = alertsOf(service);
  await until("told of d4", () => receiver.received.some(({ body }) => body.data.alerts[0]?.device_id === "d4"));
  receiver.received.length = 0;
  const to = new Date(Date.now() + 3_600_000).toISOString();
  const silence = await api.call<{ id: string }>("POST", "/silences", { matchers: { device_id: "quiet-*" }, to });
  await service.ingest([value("quiet-1", 50)]);
  const alert = await until("silenced", async () =>
    (await api.list()).find(({ device_id }) => device_id === "quiet-1"),
  );
  expect(alert).toMatchObject({ state: "firing", silenced: true, acknowledged: null });
  await api.call("POST", `/${alert.id}/acknowledge`, { comment: "on it" });
  expect((await api.list("?device_id=quiet-1"))[0]?.acknowledged).toMatchObject({ comment: "on it" });
  expect(receiver.received).toEqual([]);
  await api.call("DELETE", `/silences/${silence.id}`);
  const message = await until("told after the silence", () => receiver.received[0], 30_000);
  expect(message.body.data.alerts[0]?.device_id).toBe("quiet-1");
});

test("a rule is tried on the past", async () => {
  const api = alertsOf(service);
  const startMs = Date.now() - 3_600_000;
  const events = [10, 40, 41, 10, 50, 9].map((value_float, index) => ({
    device_id: "past",
    event_type: "level",
    value_float,
    timestamp: startMs + index * 10_000,
  }));
  // On a busy machine the engine may take longer than the half minute that a request waits.
  const init = { query: "?wait=stored", headers: { "Idempotency-Key": "past" } };
  await until("stored", async () => (await service.ingest(events, init)).status === 200, 100_000);
  const rule = {
    name: "try",
    severity: "info",
    for: "10s",
    when: { kind: "value", event_type: "level", measure: "last", above: 30 },
  };
  const result = await api.call("POST", "/rules/test", { rule });
  expect(result).toMatchObject({
    count: 1,
    fired: [
      {
        device_id: "past",
        from: new Date(startMs + 20_000).toISOString(),
        to: new Date(startMs + 30_000).toISOString(),
        value: 41,
      },
    ],
    resolution_seconds: 0,
  });
});

test("a rule of silence is tried on the past: the gaps of each device, the last one still open", async () => {
  const api = alertsOf(service);
  const rule = { name: "try", severity: "info", devices: { prefix: "past" }, when: { kind: "silent", after: "1s" } };
  const result = await until("the silence since", async () => {
    const tried = await api.call<{ count: number; fired: { device_id: string; to: string | null }[] }>(
      "POST",
      "/rules/test",
      { rule, from: new Date(Date.now() - 7_200_000).toISOString() },
    );
    return tried.count === 1 && tried;
  });
  expect(result.fired).toMatchObject([{ device_id: "past", to: null }]);
});
