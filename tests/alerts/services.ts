import { type Service, startService, until } from "../../testing/test-service.ts";
import { type Fleet, startFleet } from "../redis/rig.ts";

/** What a campaign runs against: a service alone, or two that share a journal. */
export interface Services {
  /** One that lives; any of them. */
  readonly one: Service;
  /** Kills one thing at a random moment, and has it start again. Resolves with what it was once all is up. */
  kill(random: () => number): Promise<string>;
  /** From the holder's death to the next one's first decision, ms. */
  readonly takeovers: readonly number[];
  log(): string;
  dispose(): Promise<void>;
}

const takeoverMaxMs = 30_000;

export async function startAlone(environment: Record<string, string>): Promise<Services> {
  let service = await startService(environment);
  return {
    get one() {
      return service;
    },
    async kill() {
      await service.kill();
      service = await service.restart(environment);
      return "service";
    },
    takeovers: [],
    log: () => service.log().slice(-2_000),
    dispose: () => service.dispose(),
  };
}

/** Two services over one Redis and one ClickHouse. Mostly the one that decides on alerts is killed; now and then Redis. */
export async function startShared(environment: Record<string, string>): Promise<Services> {
  const fleet = await startFleet(2, { ...environment, FLUSH_INTERVAL: "0.5" });
  const takeovers: number[] = [];
  let turn = 0;
  const living = (): Service[] => fleet.instances.filter((each) => each !== null);
  await holderOf(fleet);
  return {
    get one() {
      const list = living();
      return list[turn++ % list.length] as Service;
    },
    async kill(random) {
      if (random() < 0.25) {
        await fleet.redis.kill();
        await Bun.sleep(random() * 2_000);
        await fleet.redis.start();
        await holderOf(fleet);
        return "redis";
      }
      const held = await holderOf(fleet);
      const startedMs = performance.now();
      await fleet.kill(held);
      await holderOf(fleet);
      takeovers.push(performance.now() - startedMs);
      await fleet.start(held);
      return "holder";
    },
    takeovers,
    log: () =>
      living()
        .map((service) => service.log().slice(-2_000))
        .join("\n"),
    dispose: () => fleet.dispose(),
  };
}

/** The place of the instance that decides; waits until there is one. */
export function holderOf(fleet: Fleet): Promise<number> {
  return until(
    "an instance that decides on alerts",
    async () => {
      for (const [index, service] of fleet.instances.entries()) {
        if (service !== null && (await decides(service))) return index;
      }
      return undefined;
    },
    takeoverMaxMs,
  );
}

export async function decides(service: Service): Promise<boolean> {
  const response = await fetch(`${service.url}/metrics`).catch(() => undefined);
  return response !== undefined && /^sluice_alerts_deciding 1$/m.test(await response.text());
}
