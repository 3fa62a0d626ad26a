import { access } from "./access.ts";
import { alerts } from "./alerts.ts";
import { backup } from "./backup.ts";
import { batching } from "./batching.ts";
import { clickHouse } from "./clickhouse.ts";
import { limits } from "./limits.ts";
import { listen } from "./listen.ts";
import { liveView } from "./live-view.ts";
import { logging } from "./logging.ts";
import { protocols } from "./protocols.ts";
import { redis } from "./redis.ts";
import type { Values } from "./setting.ts";
import { storage } from "./storage.ts";
import { tls } from "./tls.ts";

/** In the order of `--help` and docs/configuration.md. */
export const groups = {
  listen,
  tls,
  access,
  storage,
  limits,
  batching,
  clickHouse,
  liveView,
  protocols,
  alerts,
  redis,
  backup,
  logging,
} as const;

type Groups = typeof groups;

export type Config = { readonly [G in keyof Groups]: Values<Groups[G]> };

export type Environment = Readonly<Record<string, string | undefined>>;
