import { integer, optional, url } from "./kinds.ts";
import { group } from "./setting.ts";

export const redis = group("Several instances", {
  url: {
    variable: "REDIS_URL",
    fallback: "",
    kind: optional(url(["redis", "rediss"], "redis://host:port or rediss://…")),
    help: "shared journal and live view between instances",
  },
  shards: {
    variable: "REDIS_SHARDS",
    fallback: "2",
    kind: integer(1, 64),
    help: "streams that devices are spread over, each inserted by one instance; the first instance on a Redis decides",
  },
});
