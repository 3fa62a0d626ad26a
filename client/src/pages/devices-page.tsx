import type { JSX } from "solid-js";
export default function DevicesPage(): JSX.Element {
  return <div class="page">DevicesPage</div>;
}
