import { makeEventListener } from "@solid-primitives/event-listener";
import { type Accessor, createEffect, createMemo, createSignal } from "solid-js";
import type { TimeZone } from "../ui/format.ts";
import type { Router } from "./router.ts";

type Theme = "system" | "light" | "dark";

export interface Preferences {
  theme: Accessor<Theme>;
  setTheme(theme: Theme): void;
  /** What the system or the viewer wants, resolved. */
  dark: Accessor<boolean>;
  zone: Accessor<TimeZone>;
  setZone(zone: TimeZone): void;
  /** Single-letter shortcuts can be turned off (WCAG 2.1.4). */
  shortcuts: Accessor<boolean>;
  setShortcuts(on: boolean): void;
}

const themes: readonly string[] = ["system", "light", "dark"];

/** Stored for this browser; `?theme=` and `?tz=` win, so that a shared link or a wall screen looks as meant. */
export function createPreferences(router: Router, storage: Pick<Storage, "getItem" | "setItem">): Preferences {
  const stored = (name: string): string | null => storage.getItem(`sluice:${name}`);
  const store = (name: string, value: string): void => storage.setItem(`sluice:${name}`, value);
  const [storedTheme, setStoredTheme] = createSignal(stored("theme") ?? "system");
  const [storedZone, setStoredZone] = createSignal(stored("tz") ?? "local");
  const [shortcuts, setShortcuts] = createSignal(stored("shortcuts") !== "off");

  const systemDark = matchMedia("(prefers-color-scheme: dark)");
  const [systemIsDark, setSystemIsDark] = createSignal(systemDark.matches);
  makeEventListener(systemDark, "change", () => setSystemIsDark(systemDark.matches));

  const theme = createMemo((): Theme => {
    const wanted = router.param("theme", storedTheme());
    return themes.includes(wanted) ? (wanted as Theme) : "system";
  });
  const dark = createMemo(() => (theme() === "system" ? systemIsDark() : theme() === "dark"));
  createEffect(() => {
    document.documentElement.dataset.theme = dark() ? "dark" : "light";
  });

  return {
    theme,
    setTheme(next) {
      store("theme", next);
      setStoredTheme(next);
      router.setParams({ theme: undefined });
    },
    dark,
    zone: () => (router.param("tz", storedZone()) === "utc" ? "utc" : "local"),
    setZone(next) {
      store("tz", next);
      setStoredZone(next);
      // In the link too: a colleague should read the same times.
      router.setParams({ tz: next === "utc" ? "utc" : undefined });
    },
    shortcuts,
    setShortcuts(on) {
      store("shortcuts", on ? "on" : "off");
      setShortcuts(on);
    },
  };
}
