import { Elysia } from "elysia";
import type { AlertsUpdate } from "../../../contract/alerts.ts";
import { ConfigError } from "../../config/config-error.ts";
import { openStore } from "../../store/store.ts";
import { readAlertsFile } from "../alerts-file.ts";
import { createAskPast } from "../backtest/past.ts";
import { HeardBefore } from "../center/heard-before.ts";
import { noTap } from "../event-tap.ts";
import { type AlertsDeps, type AlertsSettings, type LiveAlerts, reloadFile, tickMs } from "../open-alerts.ts";
import { type AlertSession, createAlertSession } from "../session.ts";
import { alertMigrations } from "../state/migrations.ts";
import { createRepository } from "../state/repository.ts";
import { LeaseLostError } from "./commit-queue.ts";
import { type Answer, forwardedOf, responseOf } from "./forwarding.ts";
import type { SharedState } from "./shared-state.ts";
import { noHolder, Term } from "./term.ts";

/** How often an instance that does not hold the lease asks for it, and looks at what is shown. */
const takeMs = 500;
const answerPollMs = 25;
/** What tries a rule on the past needs nothing of the holder. */
const localRoute = "/api/alerts/rules/test";

/**
 * The alerts of an instance that shares a journal with others. One of them holds the lease and decides for all; the others send it
 * their requests and show what it says.
 */
export function openSharedAlerts(
  deps: AlertsDeps,
  settings: AlertsSettings,
  /** Without REDIS_URL nothing of it is loaded. */
  connect: () => Promise<SharedState>,
): LiveAlerts {
  const { log } = deps;
  checkFile(settings.file);
  const idle = createIdleSession(deps, settings);
  const local = new Elysia().use([...idle.controllers]);
  let state: SharedState | null = null;
  let term: Term | null = null;
  let shown: AlertsUpdate | null = null;
  let shownAt = 0;
  let askedMs = Number.NEGATIVE_INFINITY;
  let isStopped = false;
  let loop: Promise<void> = Promise.resolve();

  const holding = (): Term | null => (term !== null && term.session !== null && term.holds ? term : null);

  async function answer(request: Request): Promise<Response> {
    if (new URL(request.url).pathname === localRoute) return local.handle(request);
    const own = holding();
    if (own !== null) return own.handle(request);
    if (state === null || !state.isUp) return noHolder();
    const editor = request.method === "GET" ? null : deps.access.editor(request);
    const forwarded = await forwardedOf(request, editor === null || editor instanceof Response ? "" : editor.name);
    if (forwarded instanceof Response) return forwarded;
    try {
      await state.ask(JSON.stringify(forwarded));
      const deadline = performance.now() + forwarded.validForMs;
      while (performance.now() < deadline) {
        const text = await state.answerTo(forwarded.id);
        // Written by the holder alone.
        if (text !== null) return responseOf(JSON.parse(text) as Answer);
        await Bun.sleep(answerPollMs);
      }
    } catch (error) {
      log("warn", "a request could not be sent to the instance that decides on alerts", { error: String(error) });
    }
    return noHolder();
  }

  async function turn(of: SharedState): Promise<void> {
    if (term !== null) {
      const current: Term = term;
      try {
        await current.step();
      } catch (error) {
        if (!current.holds || error instanceof LeaseLostError) current.lose(String(error));
      }
      return;
    }
    if (performance.now() - askedMs < takeMs || !of.isUp) return;
    askedMs = performance.now();
    const taken = await of.take();
    if (taken.kind === "theirs") {
      if (taken.shownAt !== shownAt) await lookAtShown(of, taken.shownAt);
      return;
    }
    const begun = new Term(
      {
        ...deps,
        state: of,
        onLost() {
          if (term === begun) term = null;
        },
      },
      settings,
      { term: taken.term, askedMs },
    );
    term = begun;
    log("info", "this instance decides on alerts", { term: taken.term });
    begun.begin(taken.goneMs).catch((error: unknown) => begun.lose(String(error)));
  }

  async function lookAtShown(of: SharedState, at: number): Promise<void> {
    const text = await of.shown();
    if (text === null) return;
    shown = JSON.parse(text) as AlertsUpdate;
    shownAt = at;
    deps.onChange();
  }

  async function run(of: SharedState): Promise<void> {
    while (!isStopped) {
      const startedMs = performance.now();
      try {
        await turn(of);
      } catch (error) {
        log("debug", "the lease of the alerts could not be asked for", { error: String(error) });
      }
      await Bun.sleep(Math.max(1, tickMs - (performance.now() - startedMs)));
    }
  }

  return {
    tap: noTap,
    controllers: idle.controllers.map((controller) => mirror("alert-reading", controller, answer)),
    editingControllers: idle.editingControllers.map((controller) => mirror("alert-editing", controller, answer)),
    isDeciding: () => holding() !== null,
    figures: () => (holding()?.session ?? idle).center.figures(),
    update: () => holding()?.session?.update() ?? shown ?? idle.update(),
    rebind: (deviceId, metadata) => holding()?.session?.center.rebind(deviceId, metadata),
    async open() {
      state = await connect();
      loop = run(state);
    },
    reload: () =>
      reloadFile(log, settings.file, () => {
        const session = holding()?.session;
        if (session) return session.loadFile();
        const read = readAlertsFile(settings.file);
        return read.ok ? null : read.reason;
      }),
    async stop() {
      isStopped = true;
      await loop;
      await term?.end();
      state?.close();
    },
  };
}

function checkFile(file: string): void {
  if (file === "") return;
  const read = readAlertsFile(file);
  if (!read.ok) throw new ConfigError(`ALERTS_FILE=${file}: ${read.reason}`);
}

/** One that never opens: it has the routes, and tries rules on the past. */
function createIdleSession(deps: AlertsDeps, settings: AlertsSettings): AlertSession {
  const repository = createRepository(openStore(":memory:", [alertMigrations]));
  return createAlertSession(
    {
      ...deps,
      repository,
      ask: createAskPast(deps.clickhouse),
      directory: new HeardBefore(deps.directory),
      heardUntilMs: () => 0,
      maySend: () => false,
    },
    settings,
    { lastAliveMs: null },
  );
}

/** The same routes, answered in another way. */
function mirror(
  name: string,
  controller: { readonly routes: readonly { readonly method: string; readonly path: string }[] },
  answer: (request: Request) => Promise<Response>,
) {
  const app = new Elysia({ name });
  for (const { method, path } of controller.routes)
    app.route(method, path, ({ request }) => answer(request), { parse: "none" });
  return app;
}
