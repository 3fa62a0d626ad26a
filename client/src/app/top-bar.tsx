import { createMemo, For, type JSX, Show } from "solid-js";
import { formatCompact, formatCount } from "../ui/format.ts";
import { Icon } from "../ui/icons.tsx";
import { useApp } from "./context.tsx";
import { type PageEntry, pages } from "./pages.tsx";

export function TopBar(props: { onWall(): void; onHelp(): void }): JSX.Element {
  const { router } = useApp();
  return (
    <header class="top">
      <a class="brand" href={router.href("/")} aria-label="Sluice">
        <img src="/favicon.svg" width="24" height="24" alt="" />
        <span>Sluice</span>
      </a>
      <Navigation />
      <Connection />
      <div class="tools">
        <ZoneButton />
        <ThemeButton />
        <button
          type="button"
          class="tool"
          title="Wall screen (w)"
          aria-label="Wall screen"
          onClick={() => props.onWall()}
        >
          <Icon name="wall" />
        </button>
        <button
          type="button"
          class="tool"
          title="Help and shortcuts (?)"
          aria-label="Help and shortcuts"
          onClick={() => props.onHelp()}
        >
          <Icon name="help" />
        </button>
      </div>
    </header>
  );
}

function Navigation(): JSX.Element {
  const { router } = useApp();
  const inNavigation = pages.filter((page) => page.nav !== undefined);
  const current = (entry: PageEntry): "page" | undefined => {
    const { page } = router.route();
    const under = pages.find(({ name }) => name === page)?.under;
    return page === entry.name || under === entry.name ? "page" : undefined;
  };
  return (
    <nav class="nav" aria-label="Pages">
      <For each={inNavigation}>
        {(page) => (
          <a href={router.href(page.path)} aria-current={current(page)}>
            <Icon name={page.nav!.icon} />
            <span>{page.nav!.label}</span>
            <NavCount page={page} />
          </a>
        )}
      </For>
    </nav>
  );
}

function NavCount(props: { page: PageEntry }): JSX.Element {
  const { live } = useApp();
  const told = createMemo(() => props.page.nav?.count?.(live));
  return (
    <Show when={(told()?.count ?? 0) > 0 && told()}>
      {(what) => (
        <b class="nav-count" data-tone={what().tone} title={`${formatCount(what().count)} ${what().noun}`}>
          {formatCompact(what().count)}
          <span class="visually-hidden"> {what().noun}</span>
        </b>
      )}
    </Show>
  );
}

function ZoneButton(): JSX.Element {
  const { preferences } = useApp();
  const utc = (): boolean => preferences.zone() === "utc";
  return (
    <button
      type="button"
      class="tool zone"
      title="Times in local time or UTC"
      aria-label={utc() ? "Times are in UTC; show local time" : "Times are local; show UTC"}
      onClick={() => preferences.setZone(utc() ? "local" : "utc")}
    >
      {utc() ? "UTC" : "Local"}
    </button>
  );
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

export function Connection(): JSX.Element {
  const { live } = useApp();
  return (
    <p class="connection" data-kind={live.connection().kind} title={live.connection().detail}>
      <i aria-hidden="true" />
      {/* Only a change of state is announced, never the ticks between. */}
      <span role="status">{live.connection().label}</span>
    </p>
  );
}

export function ConnectionNotice(): JSX.Element {
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
