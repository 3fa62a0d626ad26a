import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SMTPServer } from "smtp-server";
import { findFreePort } from "../../base/free-port.ts";
import { startPushService } from "../../testing/push-service.ts";
import { type Service, startService, until } from "../../testing/test-service.ts";
import { startWebhookReceiver } from "../../testing/webhook-receiver.ts";
import { alertsOf } from "./rig.ts";

/** Real receivers: what they say of our messages, not what we think of them. */

let service: Service;
let smtp: SMTPServer;
const mails: string[] = [];
const prompt = { wait: "50ms", interval: "50ms" };

beforeAll(async () => {
  const port = findFreePort();
  smtp = new SMTPServer({
    authOptional: true,
    disabledCommands: ["STARTTLS"],
    onAuth: ({ username, password }, _session, done) =>
      username === "u" && password === "p" ? done(null, { user: "u" }) : done(new Error("no")),
    onData(stream, _session, done) {
      let text = "";
      stream.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      stream.on("end", () => {
        mails.push(text);
        done();
      });
    },
  });
  await new Promise<void>((resolve) => smtp.listen(port, "127.0.0.1", resolve));
  service = await startService({
    ALLOW_PRIVATE_WEBHOOKS: "1",
    SMTP_URL: `smtp://u:p@127.0.0.1:${port}`,
    SMTP_FROM: "sluice@example.org",
  });
  await alertsOf(service).createRule({
    name: "hot",
    severity: "critical",
    runbook: "https://example.org/hot",
    message: "{{device_id}} <is> at {{value}} & rising",
    when: { kind: "value", event_type: "temperature", measure: "last", above: 30 },
  });
}, 120_000);
afterAll(async () => {
  await service?.dispose();
  await new Promise<void>((resolve) => smtp.close(() => resolve()));
});

let device = 0;
/** One more device above the threshold; gives its name. */
async function alarm(): Promise<string> {
  const device_id = `d${++device}`;
  await service.ingest([{ device_id, event_type: "temperature", value_float: 31 }]);
  return device_id;
}
const calm = (device_id: string) => service.ingest([{ device_id, event_type: "temperature", value_float: 3 }]);

const alertmanager = Bun.which("prometheus-alertmanager");
test.skipIf(alertmanager === null)("Alertmanager takes alarms and their ends", async () => {
  const directory = mkdtempSync(join(tmpdir(), "sluice-alertmanager-"));
  writeFileSync(join(directory, "config.yml"), "route: {receiver: none}\nreceivers: [{name: none}]\n");
  const url = `http://127.0.0.1:${findFreePort()}`;
  const child = Bun.spawn(
    [
      alertmanager as string,
      `--config.file=${directory}/config.yml`,
      `--storage.path=${directory}`,
      `--web.listen-address=${url.slice("http://".length)}`,
      "--cluster.listen-address=",
    ],
    { stdout: "ignore", stderr: "ignore" },
  );
  try {
    await until("Alertmanager", async () => (await fetch(`${url}/-/ready`).catch(() => null))?.ok, 60_000);
    const api = alertsOf(service);
    const channel = await api.createChannel({ name: "am", kind: "alertmanager", url });
    const name = await alarm();
    type Held = { labels: Record<string, string>; annotations: Record<string, string>; endsAt: string }[];
    const held = async (active: boolean): Promise<Held> =>
      (await (await fetch(`${url}/api/v2/alerts?active=${active}&filter=device_id=${name}`)).json()) as Held;
    const [alert] = await until("the alarm in Alertmanager", async () => {
      const list = await held(true);
      return list.length > 0 && list;
    });
    expect(alert).toMatchObject({
      labels: { alertname: "hot", severity: "critical", device_id: name },
      annotations: { summary: `${name} <is> at 31 & rising`, runbook_url: "https://example.org/hot" },
    });
    await calm(name);
    // Alertmanager drops what has ended from this list.
    await until("its end", async () => (await held(true)).length === 0, 30_000);
    await api.call("DELETE", `/channels/${channel.id}`);
  } finally {
    child.kill("SIGKILL");
    await child.exited;
    rmSync(directory, { recursive: true });
  }
});

test("a mail server takes a message, once", async () => {
  const api = alertsOf(service);
  const channel = await api.createChannel({
    name: "mail",
    kind: "email",
    to: "a@example.org, b@example.org",
    grouping: prompt,
  });
  const name = await alarm();
  const mail = await until("the mail", () => mails[0]);
  expect(mail).toMatch(/^From: sluice@example.org/m);
  expect(mail).toMatch(/^To: a@example.org, b@example.org/m);
  expect(mail).toMatch(/^Subject: Firing: hot/m);
  expect(mail).toContain(`${name} <is> at 31 & rising`);
  expect(mail).toContain("https://example.org/hot");
  expect(mails).toHaveLength(1);
  await api.call("DELETE", `/channels/${channel.id}`);
});

test("a browser that has subscribed decrypts its message; one that is gone is forgotten", async () => {
  const api = alertsOf(service);
  const push = startPushService();
  const channel = await api.createChannel({ name: "push", kind: "web_push", grouping: prompt });
  const { public_key } = await api.call<{ public_key: string }>("GET", "/push");
  expect(Buffer.from(public_key, "base64url")).toHaveLength(65);
  await api.call("POST", "/push", push.subscription);
  const name = await alarm();
  const message = await until("the push", () => push.messages[0]);
  expect(message.headers).toMatchObject({ ttl: "86400", urgency: "high", "content-encoding": "aes128gcm" });
  expect(message.headers.authorization).toStartWith("vapid t=");
  expect(message.payload).toMatchObject({
    web_push: 8030,
    notification: { title: "Firing: hot", body: `${name} <is> at 31 & rising`, data: { type: "alert.firing" } },
  });
  push.status = 410;
  await alarm();
  await until("forgotten", async () => (await api.call<{ subscriptions: number }>("GET", "/push")).subscriptions === 0);
  await api.call("DELETE", `/channels/${channel.id}`);
  await push.stop();
});

test("Slack, Discord and ntfy get bodies of their own form", async () => {
  const api = alertsOf(service);
  const bodies: { path: string; body: Record<string, unknown>; authorization: string | null }[] = [];
  const server = Bun.serve({
    port: 0,
    async fetch(request) {
      const body = (await request.json()) as Record<string, unknown>;
      bodies.push({ path: new URL(request.url).pathname, body, authorization: request.headers.get("authorization") });
      return new Response("ok");
    },
  });
  const base = `http://127.0.0.1:${server.port}`;
  const made = [];
  for (const kind of ["slack", "discord", "ntfy"]) {
    const secret = kind === "ntfy" ? { secret: "tk_1" } : {};
    made.push(await api.createChannel({ name: kind, kind, url: `${base}/${kind}`, grouping: prompt, ...secret }));
  }
  const name = await alarm();
  await until("three messages", () => bodies.length === 3);
  const of = (path: string) => bodies.find((each) => each.path === path);
  expect(of("/slack")?.body.text).toBe(`*Firing: hot*\n• ${name} &lt;is&gt; at 31 &amp; rising`);
  expect(of("/discord")?.body).toMatchObject({ allowed_mentions: { parse: [] }, embeds: [{ title: "Firing: hot" }] });
  expect(of("/")).toMatchObject({
    authorization: "Bearer tk_1",
    body: { topic: "ntfy", title: "Firing: hot", priority: 5 },
  });
  for (const { id } of made) await api.call("DELETE", `/channels/${id}`);
  await server.stop(true);
});

test("alertmanager issue 1494: a dead receiver delays and repeats nothing at a healthy one", async () => {
  const api = alertsOf(service);
  const healthy = startWebhookReceiver();
  const dead = Bun.serve({ port: 0, fetch: () => new Promise<Response>(() => undefined) });
  const made = [
    await api.createChannel({ name: "dead", kind: "webhook", url: `http://127.0.0.1:${dead.port}/`, grouping: prompt }),
    await api.createChannel({ name: "refusing", kind: "webhook", url: "http://127.0.0.1:1/", grouping: prompt }),
    await api.createChannel({ name: "healthy", kind: "webhook", url: healthy.url, grouping: prompt }),
  ];
  healthy.secret = made[2]?.secret ?? null;
  const names: string[] = [];
  for (let index = 0; index < 5; index++) {
    const name = await alarm();
    const sentMs = performance.now();
    await until(`told of ${name}`, () =>
      healthy.received.some(({ body }) => body.data.alerts.some((each) => each.device_id === name)),
    );
    expect(performance.now() - sentMs).toBeLessThan(10_000);
    names.push(name);
  }
  expect(healthy.received.flatMap(({ body }) => body.data.alerts.map((each) => each.device_id))).toEqual(names);
  expect(healthy.received.map(({ fault }) => fault)).toEqual(names.map(() => null));
  const { channels } = await api.call<{ channels: { name: string; status: string; waiting: number }[] }>(
    "GET",
    "/channels",
  );
  expect(channels.find(({ name }) => name === "refusing")).toMatchObject({ status: "failing", waiting: 5 });
  for (const { id } of made) await api.call("DELETE", `/channels/${id}`);
  await dead.stop(true);
  await healthy.stop();
});

test("alertmanager issue 2286: events without end above the threshold are one message, not two hundred", async () => {
  const api = alertsOf(service);
  const receiver = startWebhookReceiver();
  const channel = await api.createChannel({ name: "one", kind: "webhook", url: receiver.url, grouping: prompt });
  const name = await alarm();
  for (let index = 0; index < 200; index++)
    await service.ingest([{ device_id: name, event_type: "temperature", value_float: 31 + (index % 7) }]);
  await until("the message", () => receiver.received.length > 0);
  await calm(name);
  await until("its end", () => receiver.received.some(({ body }) => body.type === "alert.resolved"));
  expect(receiver.received.map(({ body }) => body.type)).toEqual(["alert.firing", "alert.resolved"]);
  await api.call("DELETE", `/channels/${channel.id}`);
  await receiver.stop();
});

test("a receiver that is gone (410) is not asked again; who is told to wait is left alone", async () => {
  const api = alertsOf(service);
  const gone = startWebhookReceiver();
  const busy = startWebhookReceiver();
  let goneAsked = 0;
  let busyAsked = 0;
  gone.answer = () => {
    goneAsked++;
    return new Response(null, { status: 410 });
  };
  busy.answer = () => {
    busyAsked++;
    return new Response(null, { status: 429, headers: { "Retry-After": "600" } });
  };
  const made = [
    await api.createChannel({ name: "gone", kind: "webhook", url: gone.url, grouping: prompt }),
    await api.createChannel({ name: "busy", kind: "webhook", url: busy.url, grouping: prompt }),
  ];
  await alarm();
  await until("both were asked", () => goneAsked === 1 && busyAsked === 1);
  await alarm();
  await Bun.sleep(1_500);
  expect([goneAsked, busyAsked]).toEqual([1, 1]);
  const { channels } = await api.call<{ channels: { name: string; status: string }[] }>("GET", "/channels");
  expect(channels.find(({ name }) => name === "gone")?.status).toBe("disabled");
  for (const { id } of made) await api.call("DELETE", `/channels/${id}`);
  await gone.stop();
  await busy.stop();
});
