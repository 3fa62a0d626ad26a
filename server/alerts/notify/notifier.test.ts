import { expect, test } from "bun:test";
import { openStore } from "../../store/store.ts";
import type { Mutes } from "../muting/muting.ts";
import { alertMigrations } from "../state/migrations.ts";
import type { AlertNotice, ChannelRecord } from "../state/records.ts";
import { createRepository } from "../state/repository.ts";
import { Notifier } from "./notifier.ts";

const health = { disabled: null, delivered: 0, dropped: 0, lastError: null, failing: false };
const channel = (name: string, more: Partial<ChannelRecord["channel"]> = {}): ChannelRecord => ({
  id: name,
  source: "api",
  channel: { name, kind: "webhook", url: "http://x", ...more },
  createdMs: 0,
  updatedMs: 0,
  health,
});
const nobodyMuted: Mutes = { hasSilences: false, isMuted: () => false };

function setUp(channels: ChannelRecord[], options: { acknowledged?: string[] } = {}) {
  const repository = createRepository(openStore(":memory:", [alertMigrations]));
  const create = () =>
    new Notifier(
      {
        make: repository.make,
        channels: () => channels,
        inhibitorsOf: () => [],
        isAcknowledged: (id) => options.acknowledged?.includes(id) ?? false,
      },
      repository.notices(),
      repository.groups(),
      nowMs,
    );
  let nowMs = 0;
  let notifier = create();
  const told: string[] = [];
  const ids = new Set<string>();
  return {
    told,
    ids,
    tell(state: "firing" | "resolved", name: string, rule = "r") {
      const notice: AlertNotice = {
        id: name,
        ruleId: rule,
        rule,
        severity: "warning",
        deviceId: name,
        group: null,
        metadata: {},
        state,
        startedMs: 0,
        atMs: nowMs,
        value: 1,
        message: "",
        runbook: null,
      };
      repository.commit(notifier.tell(notice, undefined, nowMs));
    },
    /** In steps of a tenth of a second, as live. */
    to(seconds: number, mutes = nobodyMuted) {
      for (; nowMs < seconds * 1000; nowMs += 100) {
        if (notifier.nextDueMs > nowMs) continue;
        const { messages, changes } = notifier.flush(nowMs, () => mutes);
        repository.commit(changes);
        for (const { id, channelId, content } of messages) {
          expect(ids.has(id)).toBe(false);
          ids.add(id);
          const names = content.alerts.map((each) => each.id).join(",");
          told.push(`${nowMs / 1000} ${channelId} ${content.type.slice(6)} ${names}${content.repeat ? " again" : ""}`);
        }
      }
    },
    restart() {
      notifier = create();
    },
  };
}

test("alarms that begin together are one message; a recovery goes out after the interval", () => {
  const { tell, to, told } = setUp([channel("c")]);
  for (const name of ["a", "b", "c"]) tell("firing", name);
  to(5);
  tell("resolved", "a");
  to(60);
  expect(told).toEqual(["2 c firing a,b,c", "12 c resolved a"]);
});

test("10,000 alarms over five seconds are one message to each channel", () => {
  const { tell, to, told } = setUp([channel("c"), channel("d")]);
  for (let second = 0; second < 5; second++) {
    for (let index = 0; index < 2_000; index++) tell("firing", `${second}-${index}`);
    to(second + 1);
  }
  to(60);
  expect(told.map((line) => line.split(" ").slice(0, 3).join(" "))).toEqual(["6 c firing", "6.1 d firing"]);
  expect(told[0]?.split(",").length).toBe(10_000);
});

test("what ended before anybody was told is not mentioned, and a recovery goes to those alone who were told", () => {
  const channels = [channel("c")];
  const { tell, to, told } = setUp(channels);
  tell("firing", "short");
  to(1);
  tell("resolved", "short");
  to(20);
  tell("firing", "a");
  to(30);
  channels.push(channel("late"));
  tell("resolved", "a");
  to(60);
  expect(told).toEqual(["22 c firing a", "32 c resolved a"]);
});

test("while it is muted nothing is sent; afterwards what still fires is", () => {
  const { tell, to, told } = setUp([channel("c")]);
  const muted: Mutes = { hasSilences: true, isMuted: () => true };
  tell("firing", "a");
  tell("firing", "b");
  to(100, muted);
  tell("resolved", "b");
  to(200, muted);
  to(220);
  expect(told.map((line) => line.split(" ").slice(1).join(" "))).toEqual(["c firing a"]);
});

test("a reminder after the repeat interval, unless somebody is on it", () => {
  const { tell, to, told } = setUp([channel("c", { grouping: { repeat: "1m" } })], { acknowledged: ["b"] });
  tell("firing", "a");
  tell("firing", "b");
  to(130);
  expect(told).toEqual(["2 c firing a,b", "62 c firing a again", "122 c firing a again"]);
});

test("a group that goes on changing is told of less and less often", () => {
  const { tell, to, told } = setUp([channel("c")]);
  for (let second = 0; second < 600; second += 5) {
    tell(second % 10 === 0 ? "firing" : "resolved", `a${Math.floor(second / 10)}`);
    to(second + 4.9);
  }
  expect(told.length).toBeLessThan(12);
});

test("a restart repeats nothing and forgets nothing", () => {
  const { tell, to, told, restart } = setUp([channel("c")]);
  tell("firing", "a");
  restart();
  to(10);
  restart();
  to(20);
  tell("resolved", "a");
  restart();
  to(60);
  expect(told.map((line) => line.split(" ").slice(1).join(" "))).toEqual(["c firing a", "c resolved a"]);
});
