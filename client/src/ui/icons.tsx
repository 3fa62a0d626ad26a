import type { JSX } from "solid-js";

/** 20-pixel line icons; decoration only, so hidden from readers: the control around each has a name. */
const paths = {
  live: "M2 10h3.2l2.3-6 4 12 2.6-6H18",
  devices: "M6 6h8v8H6zM8 2.5v3M12 2.5v3M8 14.5v3M12 14.5v3M2.5 8h3M2.5 12h3M14.5 8h3M14.5 12h3",
  explore: "M2.5 17.5h15M4.5 14V9M8.2 14V4M11.8 14V7.5M15.5 14v-3.5",
  pipeline: "M2.5 5.5h5l5 9h5M12.5 5.5h5M2.5 14.5h5",
  alerts: "M10 2.5a5 5 0 0 0-5 5v4l-1.5 3h13L15 11.500v-4a5 5 0 0 0-5-5M8.300 17a2 2 0 0 0 3.400 0",
  pause: "M6.5 4v12M13.5 4v12",
  play: "M6 3.5v13l10.5-6.5z",
  sun: "M10 6.5a3.5 3.5 0 1 0 0 7a3.5 3.5 0 1 0 0-7M10 1.5v2M10 16.5v2M1.5 10h2M16.5 10h2M4 4l1.400 1.400M14.600 14.600L16 16M4 16l1.400-1.400M14.600 5.400L16 4",
  moon: "M16.5 12.200A7 7 0 0 1 7.800 3.5a7 7 0 1 0 8.700 8.700z",
  system: "M2.5 4h15v9.5h-15zM7 17h6M10 13.5V17",
  wall: "M3 7V3h4M13 3h4v4M17 13v4h-4M7 17H3v-4",
  help: "M7.300 7.300a2.800 2.800 0 1 1 4 2.5c-.8.4-1.300 1-1.300 2M10 15.200v.1M10 1.800a8.200 8.200 0 1 0 0 16.400a8.200 8.200 0 1 0 0-16.400",
  search: "M8.5 2.5a6 6 0 1 0 0 12a6 6 0 1 0 0-12M13 13l4.5 4.5",
  up: "M10 16V4M5 9l5-5 5 5",
  down: "M10 4v12M5 11l5 5 5-5",
  copy: "M7 7h10v10H7zM13 7V3H3v10h4",
  warn: "M10 2.5L18.5 17h-17zM10 8v4M10 14.5v.1",
  back: "M12.5 4l-6 6 6 6",
  forward: "M7.5 4l6 6-6 6",
  clock: "M10 1.800a8.200 8.200 0 1 0 0 16.400a8.200 8.200 0 1 0 0-16.400M10 5.500v4.800l3.200 2",
  zoom_out: "M8.5 2.5a6 6 0 1 0 0 12a6 6 0 1 0 0-12M13 13l4.5 4.5M5.800 8.500h5.400",
  filter: "M2.5 4.5h15M5.500 10h9M8.500 15.500h3",
  columns: "M3 3.500h14v13H3zM7.700 3.500v13M12.300 3.500v13",
  more: "M4.500 10v.1M10 10v.1M15.500 10v.1",
  expand: "M5 8l5 5 5-5",
  link: "M8.500 11.500l3-3M7 9L4.700 11.300a2.800 2.800 0 0 0 4 4L11 13M9 7l2.300-2.300a2.800 2.800 0 0 1 4 4L13 11",
  close: "M4.5 4.5l11 11M15.5 4.5l-11 11",
  download: "M10 3v9.5M5.5 8.5L10 13l4.5-4.5M3 17h14",
} as const;

export type IconName = keyof typeof paths;

export function Icon(props: { name: IconName }): JSX.Element {
  return (
    <svg class="icon" viewBox="0 0 20 20" aria-hidden="true">
      <path d={paths[props.name]} />
    </svg>
  );
}
