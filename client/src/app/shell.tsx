import { makeEventListener } from "@solid-primitives/event-listener";
import {
  createEffect,
  createMemo,
  createSignal,
  ErrorBoundary,
  type JSX,
  lazy,
  Match,
  on,
  Show,
  Suspense,
  Switch,
} from "solid-js";
import { Dynamic } from "solid-js/web";
import { UpdatePrompt } from "../pwa/update-prompt.tsx";
import { Icon } from "../ui/icons.tsx";
import { useApp } from "./context.tsx";
import { NotFound, PageError, PageWait } from "./page-states.tsx";
import { pages } from "./pages.tsx";
import { createTabState } from "./tab-state.ts";
import { ConnectionNotice, TopBar } from "./top-bar.tsx";

const HelpDialog = lazy(() => import("./help-dialog.tsx"));
const Palette = lazy(() => import("./palette.tsx"));
const ViewsDialog = lazy(() => import("./views-dialog.tsx"));
const SignIn = lazy(() => import("../pages/sign-in/sign-in.tsx"));

/** What the help says of the pages' shortcuts. */
const pageKeys = pages.flatMap(({ nav }) => (nav ? [[`g ${nav.key}`, nav.label] as [string, string]] : []));

/** The frame around every page: navigation, connection, shortcuts, sign-in. */
export function Shell(): JSX.Element {
  const { router, api, shortcuts, preferences } = useApp();
  const [open, setOpen] = createSignal<"help" | "palette" | "views">();
  const wall = (): boolean => router.param("wall") !== "";
  const setWall = (on: boolean): void => router.setParams({ wall: on ? "1" : undefined });

  for (const { nav, path } of pages) if (nav) shortcuts.add(`g ${nav.key}`, () => router.go(path));
  shortcuts.add("?", () => setOpen("help"));
  shortcuts.add("w", () => setWall(!wall()));
  shortcuts.add("Escape", () => setWall(false));
  shortcuts.add("t", () => preferences.setTheme(preferences.dark() ? "light" : "dark"));
  shortcuts.add("v", () => setOpen("views"));
  makeEventListener(window, "keydown", (event) => {
    if (event.key !== "k" || !(event.ctrlKey || event.metaKey) || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    setOpen("palette");
  });
  const commands = [
    { label: "Saved views and links", group: "Action", run: () => void setOpen("views") },
    { label: "Copy link to this page", group: "Action", run: () => void navigator.clipboard.writeText(location.href) },
    {
      label: "Switch between light and dark",
      group: "Action",
      run: () => preferences.setTheme(preferences.dark() ? "light" : "dark"),
    },
    { label: "Wall screen", group: "Action", run: () => setWall(true) },
    { label: "Help and shortcuts", group: "Action", run: () => void setOpen("help") },
  ];
  createEffect(() => {
    document.documentElement.classList.toggle("wall", wall());
  });
  // What a saved view needs is what its page has asked for.
  createEffect(on(router.path, () => api.forgetAsked()));
  createSignInWatch();
  createTabState(() => {
    const { page, params } = router.route();
    return pages.find(({ name }) => name === page)?.title(params) ?? "Not found";
  });

  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <TopBar onWall={() => setWall(true)} onHelp={() => setOpen("help")} />
      <ConnectionNotice />
      <Main signedOut={api.signedOut()} />
      <Show when={wall()}>
        <button type="button" class="button wall-exit" onClick={() => setWall(false)}>
          <Icon name="close" />
          Leave wall screen
        </button>
      </Show>
      <Suspense>
        <Switch>
          <Match when={open() === "help"}>
            <HelpDialog pages={pageKeys} onClose={() => setOpen(undefined)} />
          </Match>
          <Match when={open() === "palette"}>
            {/* A command of the palette may open another dialog: only its own closing is its own. */}
            <Palette commands={commands} onClose={() => setOpen((now) => (now === "palette" ? undefined : now))} />
          </Match>
          <Match when={open() === "views"}>
            <ViewsDialog onClose={() => setOpen(undefined)} />
          </Match>
        </Switch>
      </Suspense>
      <UpdatePrompt />
    </>
  );
}

/** A stream that is refused asks for the key; a key that is accepted opens the stream again. */
function createSignInWatch(): void {
  const { live, api } = useApp();
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
}

export function Main(props: { signedOut: boolean }): JSX.Element {
  const { router } = useApp();
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
  // Keyed by the path: another device is another page, a changed query is not.
  const shown = createMemo(() => {
    router.path();
    const { page, params } = router.route();
    const entry = pages.find(({ name }) => name === page);
    return { Page: entry?.Page ?? NotFound, params };
  });
  return (
    <main id="main" tabindex="-1" ref={main}>
      <Show
        when={!props.signedOut}
        fallback={
          <Suspense fallback={<PageWait />}>
            <SignIn />
          </Suspense>
        }
      >
        <ErrorBoundary fallback={(error: unknown, reset) => <PageError error={error} reset={reset} />}>
          <Suspense fallback={<PageWait />}>
            <Show when={shown()} keyed>
              {({ Page, params }) => <Dynamic component={Page} params={params} />}
            </Show>
          </Suspense>
        </ErrorBoundary>
      </Show>
    </main>
  );
}
