import type { JSX } from "solid-js";
export default function ExplorePage(): JSX.Element {
  return <div class="page">ExplorePage</div>;
}
