import { createContext, type JSX, useContext } from "solid-js";
import type { Api } from "../api/api.ts";
import type { Live } from "../live/live.ts";
import type { Preferences } from "./preferences.ts";
import type { Router } from "./router.ts";
import type { Shortcuts } from "./shortcuts.ts";

/** What every page is given; built once in `main.tsx`. */
export interface App {
  router: Router;
  preferences: Preferences;
  api: Api;
  live: Live;
  shortcuts: Shortcuts;
}

const AppContext = createContext<App>();

export function AppProvider(props: { app: App; children: JSX.Element }): JSX.Element {
  return <AppContext.Provider value={props.app}>{props.children}</AppContext.Provider>;
}

export function useApp(): App {
  const app = useContext(AppContext);
  if (!app) throw new Error("useApp outside AppProvider");
  return app;
}
