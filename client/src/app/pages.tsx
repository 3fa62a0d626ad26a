import { type Component, lazy } from "solid-js";
import { decodeDeviceSegment } from "../../../contract/device-path.ts";
import type { Live } from "../live/live.ts";
import LivePage from "../pages/live/live-page.tsx";
import type { IconName } from "../ui/icons.tsx";
import type { PageProps } from "./page-props.ts";

export interface PageEntry {
  readonly name: string;
  /** As the router matches it: a segment with a colon is a parameter. */
  readonly path: string;
  /** Of the browser's tab. */
  title(params: Readonly<Record<string, string>>): string;
  readonly Page: Component<PageProps>;
  /** In the navigation; absent: reached from other pages. */
  readonly nav?: {
    readonly label: string;
    readonly icon: IconName;
    /** Pressed after `g`. */
    readonly key: string;
    /** Beside the label, when there is something to look at: how many, and of what. */
    readonly count?: (live: Live) => { count: number; noun: string; tone: "warn" | "bad" };
  };
  /** The entry of the navigation that a page without one belongs to. */
  readonly under?: string;
}

/** Every page of the dashboard, in the order of the navigation. The first is in the first load; others come when opened. */
export const pages: readonly PageEntry[] = [
  {
    name: "live",
    path: "/",
    title: () => "Live",
    Page: LivePage,
    nav: { label: "Live", icon: "live", key: "l" },
  },
  {
    name: "devices",
    path: "/devices",
    title: () => "Devices",
    Page: lazy(() => import("../pages/devices/devices-page.tsx")),
    nav: {
      label: "Devices",
      icon: "devices",
      key: "d",
      count: (live) => ({ count: live.vitals().silent, noun: "silent", tone: "warn" }),
    },
  },
  {
    name: "device",
    path: "/devices/:id",
    title: ({ id = "" }) => decodeDeviceSegment(id),
    Page: lazy(() => import("../pages/device/device-page.tsx")),
    under: "devices",
  },
  {
    name: "explore",
    path: "/explore",
    title: () => "Explore",
    Page: lazy(() => import("../pages/explore/explore-tabs.tsx")),
    nav: { label: "Explore", icon: "explore", key: "e" },
  },
  {
    name: "alerts",
    path: "/alerts",
    title: () => "Alerts",
    Page: lazy(() => import("../pages/alerts/alerts-page.tsx")),
    nav: {
      label: "Alerts",
      icon: "alerts",
      key: "a",
      count: (live) => ({ count: live.alerts()?.total ?? 0, noun: "firing", tone: "bad" }),
    },
  },
  {
    name: "pipeline",
    path: "/pipeline",
    title: () => "Pipeline",
    Page: lazy(() => import("../pages/pipeline/pipeline-page.tsx")),
    nav: {
      label: "Pipeline",
      icon: "pipeline",
      key: "p",
      count: (live) => ({ count: live.vitals().deadLettered, noun: "dead letters", tone: "bad" }),
    },
  },
];
