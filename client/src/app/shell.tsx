import {
  createEffect,
  createSignal,
  ErrorBoundary,
  For,
  type JSX,
  lazy,
  Match,
  on,
  onCleanup,
  Show,
  Suspense,
  Switch,
} from "solid-js";
import LivePage from "../pages/live/live-page.tsx";
import { UpdatePrompt } from "../pwa/update-prompt.tsx";
import { Icon } from "../ui/icons.tsx";
import { Blank } from "../ui/notice.tsx";
import { useApp } from "./context.tsx";

const DevicesPage = lazy(() => import("../pages/devices/devices-page.tsx"));
const DevicePage = lazy(() => import("../pages/device/device-page.tsx"));
const ExplorePage = lazy(() => import("../pages/explore/explore-page.tsx"));
const PipelinePage = lazy(() => import("../pages/pipeline/pipeline-page.tsx"));
const HelpDialog = lazy(() => import("./help-dialog.tsx"));
const SignIn = lazy(() => import("../pages/sign-in/sign-in.tsx"));

const pages = [
  { path: "/", name: "live", label: "Live", key: "l" },
  { path: "/devices", name: "devices", label: "Devices", key: "d" },
  { path: "/explore", name: "explore", label: "Explore", key: "e" },
  { path: "/pipeline", name: "pipeline", label: "Pipeline", key: "p" },
] as const;

const titles = {
  live: "Live",
  devices: "Devices",
  device: "Device",
  explore: "Explore",
  pipeline: "Pipeline",
  not_found: "Not found",
};

export function Shell(): JSX.Element {
  const { router, live, api, shortcuts, preferences } = useApp();
  const [helpOpen, setHelpOpen] = createSignal(false);
  const wall = (): boolean => router.param("wall") !== "";
  const setWall = (on: boolean): void => router.setParams({ wall: on ? "1" : undefined });

  for (const page of pages) shortcuts.add(`g ${page.key}`, () => router.go(page.path));
  shortcuts.add("?", () => setHelpOpen(true));
  shortcuts.add("w", () => setWall(!wall()));
  shortcuts.add("Escape", () => setWall(false));
  shortcuts.add("t", () => preferences.setTheme(preferences.dark() ? "light" : "dark"));

  let main!: HTMLElement;
  createEffect(
    on(
      router.path,
      () => {
        // The new page's beginning is where a keyboard or a screen reader goes on.
        main.focus({ preventScroll: true });
      },
      { defer: true },
    ),
  );
  createEffect(() => {
    const route = router.route();
    document.title = `${route.page === "device" ? route.id : titles[route.page]} · Sluice`;
  });
  createEffect(() => {
    document.documentElement.classList.toggle("wall", wall());
  });
  createEffect(() => {
    if (live.connection().kind === "signed_out") api.requireSignIn();
  });
  createEffect(
    on(
      api.signedOut,
      (out) => {
        if (!out) live.retryNow();
      },
      { defer: true },
    ),
  );

  const current = (name: string): "page" | undefined => {
    const page = router.route().page;
    return page === name || (page === "device" && name === "devices") ? "page" : undefined;
  };

  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <header class="top">
        <a class="brand" href={router.href("/")} aria-label="Sluice">
          <img src="/favicon.svg" width="24" height="24" alt="" />
          <span>Sluice</span>
        </a>
        <nav class="nav" aria-label="Pages">
          <For each={pages}>
            {(page) => (
              <a href={router.href(page.path)} aria-current={current(page.name)}>
                <Icon name={page.name} />
                <span>{page.label}</span>
              </a>
            )}
          </For>
        </nav>
        <Connection />
        <div class="tools">
          <button
            type="button"
            class="tool zone"
            title="Times in local time or UTC"
            aria-label={
              preferences.zone() === "utc" ? "Times are in UTC; show local time" : "Times are local; show UTC"
            }
            onClick={() => preferences.setZone(preferences.zone() === "utc" ? "local" : "utc")}
          >
            {preferences.zone() === "utc" ? "UTC" : "Local"}
          </button>
          <ThemeButton />
          <button
            type="button"
            class="tool"
            title="Wall screen (w)"
            aria-label="Wall screen"
            onClick={() => setWall(true)}
          >
            <Icon name="wall" />
          </button>
          <button
            type="button"
            class="tool"
            title="Help and shortcuts (?)"
            aria-label="Help and shortcuts"
            onClick={() => setHelpOpen(true)}
          >
            <Icon name="help" />
          </button>
        </div>
      </header>
      <ConnectionNotice />
      <main id="main" tabindex="-1" ref={main}>
        <Show when={!api.signedOut()} fallback={<Suspense fallback={<PageWait />}>{<SignIn />}</Suspense>}>
          <ErrorBoundary fallback={(error: unknown, reset) => <PageError error={error} reset={reset} />}>
            <Suspense fallback={<PageWait />}>
              <Switch fallback={<NotFound />}>
                <Match when={router.route().page === "live"}>
                  <LivePage />
                </Match>
                <Match when={router.route().page === "devices"}>
                  <DevicesPage />
                </Match>
                <Match when={deviceId(router.route())} keyed>
                  {(id) => <DevicePage id={id} />}
                </Match>
                <Match when={router.route().page === "explore"}>
                  <ExplorePage />
                </Match>
                <Match when={router.route().page === "pipeline"}>
                  <PipelinePage />
                </Match>
              </Switch>
            </Suspense>
          </ErrorBoundary>
        </Show>
      </main>
      <Show when={wall()}>
        <button type="button" class="button wall-exit" onClick={() => setWall(false)}>
          <Icon name="close" />
          Leave wall screen
        </button>
      </Show>
      <Show when={helpOpen()}>
        <Suspense>
          <HelpDialog onClose={() => setHelpOpen(false)} />
        </Suspense>
      </Show>
      <UpdatePrompt />
    </>
  );
}

function deviceId(route: ReturnType<ReturnType<typeof useApp>["router"]["route"]>): string | undefined {
  return route.page === "device" ? route.id : undefined;
}

function ThemeButton(): JSX.Element {
  const { preferences } = useApp();
  const next = { system: "light", light: "dark", dark: "system" } as const;
  const icon = { system: "system", light: "sun", dark: "moon" } as const;
  const words = { system: "as the system", light: "light", dark: "dark" };
  return (
    <button
      type="button"
      class="tool"
      title={`Colours: ${words[preferences.theme()]}`}
      aria-label={`Colours: ${words[preferences.theme()]}. Change to ${words[next[preferences.theme()]]}`}
      onClick={() => preferences.setTheme(next[preferences.theme()])}
    >
      <Icon name={icon[preferences.theme()]} />
    </button>
  );
}

function Connection(): JSX.Element {
  const { live } = useApp();
  return (
    <p class="connection" data-kind={live.connection().kind} title={live.connection().detail}>
      <i aria-hidden="true" />
      {/* Only a change of state is announced, never the ticks between. */}
      <span role="status">{live.connection().label}</span>
    </p>
  );
}

function ConnectionNotice(): JSX.Element {
  const { live } = useApp();
  const kind = (): string => live.connection().kind;
  return (
    <Show when={kind() === "reconnecting" || kind() === "offline"}>
      <div class="strip" data-tone={kind() === "offline" ? "info" : "warn"}>
        <Icon name="warn" />
        <span data-testid="connection-detail">{live.connection().detail}</span>
        <Show when={kind() === "reconnecting"}>
          <button type="button" class="link" onClick={() => live.retryNow()}>
            Try now
          </button>
        </Show>
      </div>
    </Show>
  );
}

/** Nothing for the first moment, words after it: a flash of "loading" is worse than none. */
function PageWait(): JSX.Element {
  const [late, setLate] = createSignal(false);
  const timer = setTimeout(() => setLate(true), 300);
  onCleanup(() => clearTimeout(timer));
  return (
    <div class="page">
      <Show when={late()}>
        <Blank title="Opening the page" />
      </Show>
    </div>
  );
}

function PageError(props: { error: unknown; reset(): void }): JSX.Element {
  return (
    <div class="page">
      <section class="panel">
        <Blank title="This page has failed">
          <p>{props.error instanceof Error ? props.error.message : String(props.error)}</p>
          <p>If a new version was just installed, reloading brings it.</p>
          <p class="blank-actions">
            <button type="button" class="button primary" onClick={() => location.reload()}>
              Reload
            </button>
            <button type="button" class="button" onClick={() => props.reset()}>
              Try again
            </button>
          </p>
        </Blank>
      </section>
    </div>
  );
}

function NotFound(): JSX.Element {
  const { router } = useApp();
  return (
    <div class="page">
      <h1 class="visually-hidden">Not found</h1>
      <section class="panel">
        <Blank title="There is no such page">
          <p>
            Nothing is at <code>{router.path()}</code>.
          </p>
          <p class="blank-actions">
            <a class="button primary" href={router.href("/")}>
              Live
            </a>
            <a class="button" href={router.href("/devices")}>
              Devices
            </a>
          </p>
        </Blank>
      </section>
    </div>
  );
}
