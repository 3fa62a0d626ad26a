/** Each example is run where its program is installed, and checked as far as that goes where it is not. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findFreePort } from "../../base/free-port.ts";
import { startIngestStub } from "../../testing/ingest-stub.ts";
import { mosquittoPath } from "../../testing/mosquitto.ts";
import { type Service, startService, until } from "../../testing/test-service.ts";

const examples = join(import.meta.dir, "../../examples");
const read = (path: string): string => readFileSync(join(examples, path), "utf8");
const directory = mkdtempSync(join(tmpdir(), "sluice-examples-"));
const broker = findFreePort();
const patience = 60_000;
const python = Bun.which("python3");
const compiler = Bun.which("g++");
const children: Bun.Subprocess[] = [];
let service: Service;

beforeAll(async () => {
  service = await startService({ MQTT_URL: `mqtt://127.0.0.1:${broker}`, MQTT_TOPICS: topics });
  // From here on the engine answers, and the tables are there.
  const first = { device_id: "first", event_type: "t" };
  expect((await service.ingest(first, { query: "?wait=stored" })).status).toBe(200);
}, patience);
afterAll(async () => {
  await service.dispose();
  for (const child of children) {
    child.kill("SIGKILL");
    await child.exited;
  }
  rmSync(directory, { recursive: true });
});

/** Those of the broker on the site, and those that the bridge adds. */
const topics = "devices/{device_id}/{event_type},+/devices/{device_id}/{event_type}";

async function run(words: readonly string[], input?: string): Promise<{ code: number; out: string; err: string }> {
  const child = Bun.spawn([...words], {
    env: { PATH: process.env.PATH ?? "", HOME: directory, PYTHONDONTWRITEBYTECODE: "1" },
    stdin: input === undefined ? "ignore" : new Blob([input]),
    stdout: "pipe",
    stderr: "pipe",
  });
  children.push(child);
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { code: await child.exited, out, err };
}

const countOf = async (device: string): Promise<number> => {
  const [row] = await service.sql<{ events: number }>(
    `SELECT count() AS events FROM telemetry_events WHERE device_id = '${device}'`,
  );
  return row?.events ?? 0;
};

test(
  "curl: the same request twice is one event",
  async () => {
    const { code, out, err } = await run([join(examples, "curl/post.sh"), service.url]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    const [first, second, events] = out.trim().split("\n");
    expect(first).toBe('{"status":"stored","event_count":1}');
    expect(second).toBe(first);
    expect(JSON.parse(events ?? "").events).toMatchObject([{ value_float: 21.5, metadata: { unit: "°C" } }]);
  },
  patience,
);

const script = (url: string, body: string): string => `
import sys
sys.path.insert(0, ${JSON.stringify(join(examples, "python"))})
from sluice_device import Device
url, spool = ${JSON.stringify(url)}, ${JSON.stringify(join(directory, "spool"))}
${body}`;

test.skipIf(python === null)(
  "python: what one run leaves in the spool another sends, once and in order",
  async () => {
    const left = await run([
      "python3",
      "-c",
      script(
        "http://127.0.0.1:1",
        `device = Device(url, "py", spool=spool, batch_events=10)
for number in range(25):
    device.send("n", value_float=number, metadata={"unit": "°C"})
device.close()
print(device.stats["queued"])`,
      ),
    ]);
    expect(left).toMatchObject({ code: 0, out: "25\n" });
    const stub = await startIngestStub([{ status: 503 }, "lose", "drop", { status: 429 }]);
    const sent = await run([
      "python3",
      "-c",
      script(
        stub.url,
        `reports = []
def report(name, details):
    reports.append(name)
    if name == "retry":
        raise RuntimeError("a listener that fails")
with Device(url, "py", key="secret", spool=spool, on_report=report) as device:
    device.send("n", value_float=25, timestamp="2026-01-01T00:00:00Z")
    assert device.flush(60)
print(device.stats, sorted(set(reports)))`,
      ),
    ]);
    await stub.stop();
    // The listener's own fault is shown, and stops nothing.
    expect(sent.err).toContain("a listener that fails");
    expect(sent.out).toBe(
      "{'queued': 0, 'acknowledged': 26, 'evicted': 0, 'refused': 0, 'damaged': 0} ['acknowledged', 'retry']\n",
    );
    expect(stub.events().map(({ value_float }) => value_float)).toEqual(
      Array.from({ length: 26 }, (_, index) => index),
    );
    expect(new Set(stub.authorizations)).toEqual(new Set(["Bearer secret"]));
  },
  patience,
);

test.skipIf(python === null)(
  "python: a wrong event is refused at once, and the service takes the good ones",
  async () => {
    const body = `device = Device(url, "py-memory")
for wrong in (dict(event_type=""), dict(event_type="t", value_float=float("nan")), dict(event_type="t", value_string=5),
              dict(event_type="t", metadata={"a": 1}), dict(event_type="t", value_string="\\ud800")):
    try:
        device.send(**wrong)
        print("taken", wrong)
    except ValueError:
        pass
device.send("t", value_float=1, value_string="ü")
device.send("t", timestamp=1)
assert device.flush(60)
device.close()
print(device.stats["acknowledged"], device.stats["refused"])`;
    // The second one's time is too long ago: the service refuses it, and it alone.
    expect(await run(["python3", "-c", script(service.url, body)])).toEqual({ code: 0, out: "1 1\n", err: "" });
    await until("it is stored", async () => (await countOf("py-memory")) === 1, patience);
  },
  patience,
);

test.skipIf(python === null)(
  "python: its spool and the JavaScript client's are the same files",
  async () => {
    const { createDevice } = await import("../../sdk/src/index.ts");
    const spool = join(directory, "shared");
    const device = createDevice({ url: "http://127.0.0.1:1", deviceId: "js", spool });
    device.send({ event_type: "n", value_float: 1, metadata: { unit: "°C" } });
    await device.close();
    const stub = await startIngestStub([]);
    const body = `with Device(url, "py", spool=${JSON.stringify(spool)}) as device:
    device.send("n", value_float=2)
    assert device.flush(60)`;
    expect(await run(["python3", "-c", script(stub.url, body)])).toEqual({ code: 0, out: "", err: "" });
    await stub.stop();
    expect(stub.events()).toMatchObject([{ device_id: "js" }, { device_id: "py" }]);
  },
  patience,
);

/** The example with ports of its own, started. */
function startBroker(name: string, ports: Readonly<Record<string, number>>): void {
  const place = join(directory, name);
  mkdirSync(place);
  let text = read(`mosquitto/${name}.conf`).replaceAll("persistence_location ./", `persistence_location ${place}/`);
  for (const [from, to] of Object.entries(ports)) text = text.replaceAll(from, from.replace(/\d+/, String(to)));
  writeFileSync(join(place, "used.conf"), process.getuid?.() === 0 ? `${text}\nuser root\n` : text);
  children.push(
    Bun.spawn([mosquittoPath ?? "", "-c", join(place, "used.conf")], { stdout: "ignore", stderr: "ignore" }),
  );
}

test.skipIf(mosquittoPath === null || Bun.which("mosquitto_pub") === null)(
  "mosquitto: what is published on the site, and at the edge through the bridge, is stored",
  async () => {
    const edge = findFreePort();
    startBroker("mosquitto", { "1883": broker });
    startBroker("bridge", { "1884": edge, ":1883": broker });
    const publish = (port: number, device: string) =>
      run(["mosquitto_pub", "-p", String(port), "-q", "1", "-t", `devices/${device}/temperature`, "-m", "71.5"]);
    // Until the service has subscribed the broker has nobody to keep a message for.
    for (const [port, device] of [
      [broker, "boiler-7"],
      [edge, "boiler-8"],
    ] as const) {
      await until(
        `${device} is stored`,
        async () => {
          await publish(port, device);
          return (await countOf(device)) > 0;
        },
        patience,
      );
    }
  },
  2 * patience,
);

test("telegraf: the configuration is TOML, for the service's own routes", () => {
  const parsed = Bun.TOML.parse(read("telegraf/telegraf.conf")) as {
    outputs: { influxdb_v2: { urls: string[]; bucket: string; content_encoding: string }[] };
  };
  const [output] = parsed.outputs.influxdb_v2;
  expect(output).toMatchObject({ urls: ["http://127.0.0.1:8000"], content_encoding: "gzip" });
  expect(output?.bucket).not.toBe("");
});

test("OpenTelemetry Collector: the configuration is YAML, and its pipelines name only what it configures", () => {
  const parsed = Bun.YAML.parse(read("opentelemetry-collector/collector.yaml")) as {
    [section: string]: Record<string, unknown>;
    service: { extensions: string[]; pipelines: Record<string, Record<string, string[]>> };
  };
  expect(parsed.service.extensions).toEqual(Object.keys(parsed.extensions ?? {}));
  for (const pipeline of Object.values(parsed.service.pipelines)) {
    for (const [section, names] of Object.entries(pipeline)) {
      for (const name of names) expect(Object.keys(parsed[section] ?? {})).toContain(name);
    }
  }
});

test.skipIf(compiler === null)("ESP32: a compiler takes the sketch, without a warning", async () => {
  const flags = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"];
  const headers = join(import.meta.dir, "arduino");
  const sketch = join(examples, "esp32/sluice_sensor/sluice_sensor.ino");
  const words = ["g++", ...flags, "-I", headers, "-include", "Arduino.h", "-x", "c++", sketch];
  expect(await run(words)).toEqual({ code: 0, out: "", err: "" });
});

test("every example is in the table of the folder's README", () => {
  const readme = read("README.md");
  for (const folder of new Bun.Glob("*/**/*").scanSync({ cwd: examples })) {
    if (!folder.includes("__pycache__")) expect(readme).toContain(folder);
  }
});
