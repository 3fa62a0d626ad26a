import "./styles.css";
import { render } from "solid-js/web";
import { createApi } from "./api/api.ts";
import { Shell } from "./app.tsx";
import { AppProvider } from "./context.tsx";
import { createLive } from "./live/live.ts";
import { createPreferences } from "./preferences.ts";
import { createKeptData } from "./pwa/kept-data.ts";
import { createRouter } from "./router.ts";
import { createShortcuts } from "./shortcuts.ts";

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no #root");

render(() => {
  const router = createRouter();
  const preferences = createPreferences(router, localStorage);
  const api = createApi((url, init) => fetch(url, init));
  const live = createLive({ api, keptData: createKeptData(localStorage) });
  const shortcuts = createShortcuts(preferences.shortcuts);
  return (
    <AppProvider app={{ router, preferences, api, live, shortcuts }}>
      <Shell />
    </AppProvider>
  );
}, root);
