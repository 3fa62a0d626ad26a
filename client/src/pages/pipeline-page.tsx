import type { JSX } from "solid-js";
export default function PipelinePage(): JSX.Element {
  return <div class="page">PipelinePage</div>;
}
