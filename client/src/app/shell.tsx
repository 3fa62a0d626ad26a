import { createEffect, createMemo, createSignal, ErrorBoundary, type JSX, lazy, on, Show, Suspense } from "solid-js";
import { Dynamic } from "solid-js/web";
import { UpdatePrompt } from "../pwa/update-prompt.tsx";
import { Icon } from "../ui/icons.tsx";
import { useApp } from "./context.tsx";
import { NotFound, PageError, PageWait } from "./page-states.tsx";
import { pages } from "./pages.tsx";
import { ConnectionNotice, TopBar } from "./top-bar.tsx";

const HelpDialog = lazy(() => import("./help-dialog.tsx"));
const SignIn = lazy(() => import("../pages/sign-in/sign-in.tsx"));

/** The frame around every page: navigation, connection, shortcuts, sign-in. */
export function Shell(): JSX.Element {
  const { router, api, shortcuts, preferences } = useApp();
  const [helpOpen, setHelpOpen] = createSignal(false);
  const wall = (): boolean => router.param("wall") !== "";
  const setWall = (on: boolean): void => router.setParams({ wall: on ? "1" : undefined });

  for (const { nav, path } of pages) if (nav) shortcuts.add(`g ${nav.key}`, () => router.go(path));
  shortcuts.add("?", () => setHelpOpen(true));
  shortcuts.add("w", () => setWall(!wall()));
  shortcuts.add("Escape", () => setWall(false));
  shortcuts.add("t", () => preferences.setTheme(preferences.dark() ? "light" : "dark"));
  createEffect(() => {
    document.documentElement.classList.toggle("wall", wall());
  });
  createSignInWatch();

  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <TopBar onWall={() => setWall(true)} onHelp={() => setHelpOpen(true)} />
      <ConnectionNotice />
      <Main signedOut={api.signedOut()} />
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

function Main(props: { signedOut: boolean }): JSX.Element {
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
