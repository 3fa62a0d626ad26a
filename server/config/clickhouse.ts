import { identifier, integer, type Kind, list, optional, text } from "./kinds.ts";
import { group, type Values } from "./setting.ts";

const httpUrls = optional(
  list({
    parse: (part: string) => (URL.canParse(part) && /^https?:$/.test(new URL(part).protocol) ? part : undefined),
    allowed: "http(s)://host:port, several separated by commas",
  }),
) satisfies Kind<readonly string[] | null>;

export const clickHouse = group("ClickHouse", {
  urls: {
    variable: "CLICKHOUSE_URL",
    fallback: "",
    kind: httpUrls,
    help: "an external ClickHouse; unset: embedded",
  },
  host: {
    variable: "CLICKHOUSE_HOST",
    fallback: "",
    kind: text("a host name"),
    help: "with CLICKHOUSE_PORT, another way to say CLICKHOUSE_URL",
  },
  port: {
    variable: "CLICKHOUSE_PORT",
    fallback: "8123",
    kind: integer(1, 65_535, ", the HTTP port"),
    help: "HTTP port of CLICKHOUSE_HOST",
  },
  user: {
    variable: "CLICKHOUSE_USER",
    fallback: "default",
    kind: text("a user name"),
    help: "ClickHouse user",
  },
  password: {
    variable: "CLICKHOUSE_PASSWORD",
    fallback: "",
    kind: text("a password"),
    help: "ClickHouse password",
    secret: true,
  },
  database: {
    variable: "CLICKHOUSE_DB",
    fallback: "default",
    kind: identifier("letters, digits and _"),
    help: "ClickHouse database",
  },
  cluster: {
    variable: "CLICKHOUSE_CLUSTER",
    fallback: "",
    kind: optional(identifier("a cluster's name")),
    help: "use the replicated, distributed schema",
  },
  embeddedPort: {
    variable: "EMBEDDED_CLICKHOUSE_PORT",
    fallback: "8123",
    kind: integer(0, 65_535),
    help: "loopback HTTP port of the embedded engine",
  },
});

export type ClickHouseSettings = Values<typeof clickHouse>;
