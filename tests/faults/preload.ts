/**
 * Loaded before the service by the campaign (`bun --preload`): a clock that the campaign steps, and deliberate breaks.
 * The service itself knows of neither. Threads do not inherit a preload, so it hands itself on to them.
 *
 * FAULT_CLOCK: a file with milliseconds to be added to the wall clock. SABOTAGE: a name from `sabotage.ts`.
 */
import { readFileSync } from "node:fs";
import { plugin } from "bun";
import { sabotages, transformSource } from "./sabotage.ts";

const clockPollMs = 10;

const { SABOTAGE, FAULT_CLOCK } = process.env;

if (FAULT_CLOCK) {
  const file = FAULT_CLOCK;
  const RealDate = Date;
  const realNow = Date.now;
  let offsetMs = 0;
  const look = (): void => {
    offsetMs = Number(readFileSync(file, "utf8")) || 0;
  };
  look();
  setInterval(look, clockPollMs).unref();
  const now = (): number => realNow() + offsetMs;
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, args, newTarget) => Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget),
    get: (target, name) => (name === "now" ? now : Reflect.get(target, name)),
  });
}

if (SABOTAGE) {
  const sabotage = sabotages.find(({ name }) => name === SABOTAGE);
  if (!sabotage)
    throw new Error(`SABOTAGE=${SABOTAGE}: not allowed; use ${sabotages.map(({ name }) => name).join(", ")}`);
  plugin({
    name: `sabotage ${SABOTAGE}`,
    setup(build) {
      const filter = new RegExp(`/${sabotage.file.replaceAll(/[.]/g, "\\.")}$`);
      build.onLoad({ filter }, ({ path }) => ({
        contents: transformSource(sabotage, readFileSync(path, "utf8")),
        loader: "ts",
      }));
    },
  });
}

const RealWorker = globalThis.Worker;
globalThis.Worker = new Proxy(RealWorker, {
  construct: (target, [url, options]: [string, WorkerOptions | undefined], newTarget) =>
    Reflect.construct(target, [url, { ...options, preload: [import.meta.path] }], newTarget),
});
