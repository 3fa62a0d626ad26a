import "./ui/tokens.css";
import "./ui/base.css";
import "./ui/controls.css";
import "./ui/panels.css";
import "./ui/tables.css";
import "./ui/dialogs.css";
import "./charts/charts.css";
import "./app/frame.css";
import { render } from "solid-js/web";
import { createApi } from "./api/api.ts";
import { ensureLanguage } from "./app/browser-language.ts";
import { AppProvider } from "./app/context.tsx";
import { pages } from "./app/pages.tsx";
import { createPreferences } from "./app/preferences.ts";
import { createRouter, createViewPlace } from "./app/router.ts";
import { LinkEnded, SharedShell } from "./app/shared-shell.tsx";
import { Shell } from "./app/shell.tsx";
import { createShortcuts } from "./app/shortcuts.ts";
import { createLive } from "./live/live.ts";
import { createKeptData } from "./pwa/kept-data.ts";

ensureLanguage(navigator);
const root = document.getElementById("root");
if (!root) throw new Error("index.html has no #root");

/** `/shared/TOKEN`: one view, read-only. */
const sharedBase = /^\/shared\/[^/]+/.exec(location.pathname)?.[0] ?? "";
const api = createApi((url, init) => fetch(url, init), sharedBase);
const view = sharedBase === "" ? undefined : await api.get("/view");

render(() => {
  if (view && !view.ok) return <LinkEnded message={view.message} />;
  const router = createRouter(pages, view && createViewPlace(view.data.path));
  const preferences = createPreferences(router, localStorage);
  const live = createLive({ api, keptData: createKeptData(localStorage) });
  const shortcuts = createShortcuts(preferences.shortcuts);
  return (
    <AppProvider app={{ router, preferences, api, live, shortcuts }}>
      {view ? <SharedShell view={view.data} /> : <Shell />}
    </AppProvider>
  );
}, root);
