import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Service, until } from "../../testing/test-service.ts";
import { startWebhookReceiver, type WebhookReceiver } from "../../testing/webhook-receiver.ts";
import { type Fleet, redisProgram, startFleet } from "../redis/rig.ts";
import { alertsOf } from "./rig.ts";
import { decides, holderOf } from "./services.ts";

const devices = 60;
const environment = { ALLOW_PRIVATE_WEBHOOKS: "1", FLUSH_INTERVAL: "0.3", LOG_LEVEL: "warn" };
const names = Array.from({ length: devices }, (_, index) => `d${index}`);

// The long form: bun tests/alerts/kill-campaign.ts --redis --rounds 20 --devices 10000
describe.skipIf(redisProgram === null)("two instances on one Redis", () => {
  let fleet: Fleet;
  let receiver: WebhookReceiver;
  beforeAll(async () => {
    receiver = startWebhookReceiver();
    fleet = await startFleet(2, environment);
  }, 120_000);
  afterAll(async () => {
    await fleet?.dispose();
    await receiver?.stop();
  });

  const at = (index: number): Service => fleet.instances[index] as Service;
  /** Every instance takes its share of the devices. */
  async function send(instances: readonly number[], value: number): Promise<void> {
    for (const [turn, index] of instances.entries()) {
      const own = names.filter((_, place) => place % instances.length === turn);
      const events = own.map((device_id) => ({ device_id, event_type: "load", value_float: value }));
      expect((await at(index).ingest(events)).status).toBe(202);
    }
  }
  /** Each told of once, over all messages with different ids. */
  function told(type: string): string[] {
    const messages = new Map(receiver.received.map((message) => [message.id, message.body]));
    return [...messages.values()]
      .filter((body) => body.type === type)
      .flatMap((body) => body.data.alerts.map(({ id, device_id }) => `${device_id} ${id}`));
  }
  async function expectTold(type: string, times: number): Promise<void> {
    await until(`${times} times ${type}`, () => told(type).length >= times * devices, 30_000);
    expect(new Set(told(type)).size).toBe(times * devices);
    expect(told(type)).toHaveLength(times * devices);
  }

  test("one decides on the events of both; rules and acknowledgements reach it from either", async () => {
    const holder = await holderOf(fleet);
    const other = 1 - holder;
    expect(await decides(at(other))).toBe(false);
    const api = alertsOf(at(other));
    const grouping = { wait: "200ms", interval: "200ms" };
    const channel = await api.createChannel({ name: "c", kind: "webhook", url: receiver.url, grouping });
    receiver.secret = channel.secret ?? null;
    await api.createRule({
      name: "hot",
      severity: "critical",
      when: { kind: "value", event_type: "load", measure: "last", above: 10 },
    });
    expect((await alertsOf(at(holder)).call<{ total: number }>("GET", "/rules")).total).toBe(1);
    const refused = await fetch(`${at(other).url}/api/alerts/rules`, { method: "POST", body: "{}" });
    expect(refused.status).toBe(415);
    const startedMs = performance.now();
    await send([0, 1], 20);
    await until("all of them", async () => (await api.list("?limit=100")).length === devices);
    expect(performance.now() - startedMs).toBeLessThan(5_000);
    await expectTold("alert.firing", 1);
    const [first] = await api.list("?limit=1");
    await api.call("POST", `/${first?.id}/acknowledge`, { comment: "seen" });
    const [seen] = await alertsOf(at(holder)).list(`?device_id=${first?.device_id}`);
    expect(seen?.acknowledged).toMatchObject({ comment: "seen" });
  }, 60_000);

  test("the holder is killed with events undecided: another one decides on them, tells them once, within seconds", async () => {
    const holder = await holderOf(fleet);
    await send([0, 1], 1);
    await fleet.kill(holder);
    const startedMs = performance.now();
    expect(await holderOf(fleet)).toBe(1 - holder);
    expect(performance.now() - startedMs).toBeLessThan(8_000);
    await expectTold("alert.resolved", 1);
    await send([1 - holder], 30);
    await expectTold("alert.firing", 2);
    expect(receiver.received.filter(({ fault }) => fault !== null)).toEqual([]);
    await fleet.start(holder);
  }, 60_000);

  test("a holder that stood still and wakes up writes and sends nothing any more", async () => {
    const holder = await holderOf(fleet);
    const other = 1 - holder;
    process.kill(at(holder).pid, "SIGSTOP");
    try {
      await send([other], 1);
      await until("a takeover", () => decides(at(other)), 15_000);
      await expectTold("alert.resolved", 2);
    } finally {
      process.kill(at(holder).pid, "SIGCONT");
    }
    await send([0, 1], 40);
    await expectTold("alert.firing", 3);
    expect(await Promise.all([0, 1].map((index) => decides(at(index))))).toEqual([other === 0, other === 1]);
    const history = await alertsOf(at(holder)).history("?limit=1000");
    expect(history).toHaveLength(5 * devices);
  }, 60_000);
});
