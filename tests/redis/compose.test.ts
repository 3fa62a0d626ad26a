import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { describeConfig, parseConfig } from "../../server/config/config.ts";

/** What can be told without a container engine: that the files say what they should. Nothing here runs them. */
const root = join(import.meta.dir, "../..");
const text = (name: string): string => readFileSync(join(root, name), "utf8");

interface ComposeService {
  readonly image?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly configs?: readonly { readonly source: string }[];
  readonly depends_on?: readonly string[] | Readonly<Record<string, unknown>>;
  readonly ports?: readonly string[];
  readonly command?: readonly string[];
}

interface Compose {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly volumes: Readonly<Record<string, unknown>>;
  readonly configs: Readonly<Record<string, { readonly content: string }>>;
}

const compose = Bun.YAML.parse(text("compose.yaml")) as Compose;
const services = Object.entries(compose.services);
const instances = services.filter(([name]) => name.startsWith("sluice-"));

describe("compose.yaml", () => {
  test("has a balancer, three instances, Redis, two replicas and Keeper", () => {
    expect(Object.keys(compose.services).sort()).toEqual(
      ["clickhouse-1", "clickhouse-2", "keeper", "nginx", "redis", "sluice-1", "sluice-2", "sluice-3"].sort(),
    );
  });

  test("names nothing that is not there", () => {
    for (const [, service] of services) {
      const needed = Array.isArray(service.depends_on) ? service.depends_on : Object.keys(service.depends_on ?? {});
      for (const name of needed) expect(Object.keys(compose.services)).toContain(name);
      for (const { source } of service.configs ?? []) expect(Object.keys(compose.configs)).toContain(source);
      for (const volume of service.volumes ?? [])
        expect(Object.keys(compose.volumes)).toContain(volume.split(":")[0] ?? "");
    }
    for (const upstream of compose.configs.nginx?.content.matchAll(/server (sluice-\d+):8000/g) ?? []) {
      expect(Object.keys(compose.services)).toContain(upstream[1] as string);
    }
  });

  test("gives instances settings that the service knows and takes", () => {
    expect(instances.length).toBe(3);
    for (const [, { environment = {} }] of instances) {
      const known = Object.keys(describeConfig(parseConfig({})));
      for (const name of Object.keys(environment)) expect(known).toContain(name);
      const { clickHouse } = parseConfig({ ...environment, HOST: "0.0.0.0" });
      expect(clickHouse.cluster).toBe("sluice");
      expect(clickHouse.urls?.length).toBe(2);
      expect(compose.configs["clickhouse-cluster"]?.content).toContain(`<${clickHouse.cluster}>`);
    }
  });

  test("opens nothing beyond the loopback", () => {
    for (const port of services.flatMap(([, service]) => service.ports ?? [])) expect(port).toStartWith("127.0.0.1:");
  });

  test("has a Redis that flushes before it answers and evicts nothing", () => {
    const command = compose.services.redis?.command ?? [];
    for (const [name, value] of [
      ["--appendonly", "yes"],
      ["--appendfsync", "always"],
      ["--maxmemory-policy", "noeviction"],
    ]) {
      expect(command[command.indexOf(name as string) + 1]).toBe(value as string);
    }
  });

  test("lets server-sent events through as they come", () => {
    const stream = /location \/dashboard-stream \{([^}]*)\}/.exec(compose.configs.nginx?.content ?? "")?.[1] ?? "";
    for (const line of ["proxy_buffering off;", "gzip off;", "proxy_read_timeout 60s;"]) expect(stream).toContain(line);
  });
});

describe("Dockerfile", () => {
  const lines = text("Dockerfile").replaceAll("\\\n", " ").split("\n");
  const last = lines.slice(lines.findLastIndex((line) => line.startsWith("FROM ")));

  test("runs the Bun that package.json names, as a user, with a health check", () => {
    expect(last[0]).toBe(`FROM oven/bun:${packageJson.dependencies.bun}-slim`);
    expect(last).toContain("USER bun");
    expect(last.some((line) => line.startsWith("HEALTHCHECK ") && line.includes("/healthz"))).toBe(true);
    expect(last.indexOf("USER bun")).toBeLessThan(last.findIndex((line) => line.startsWith("CMD ")));
  });

  test("copies only what is there", () => {
    for (const line of lines.filter((each) => each.startsWith("COPY ") && !each.includes("--from"))) {
      for (const source of line.split(" ").slice(1, -1)) expect(existsSync(join(root, source))).toBe(true);
    }
  });

  test("sets only what the service knows", () => {
    const names = lines
      .filter((line) => line.startsWith("ENV "))
      .flatMap((line) => [...line.matchAll(/(\w+)=/g)].map((each) => each[1]));
    for (const name of names.filter((each) => each !== "NODE_ENV")) {
      expect(Object.keys(describeConfig(parseConfig({})))).toContain(name as string);
    }
  });
});
