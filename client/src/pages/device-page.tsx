import type { JSX } from "solid-js";
export default function DevicePage(props: { id: string }): JSX.Element {
  return <div class="page">{props.id}</div>;
}
