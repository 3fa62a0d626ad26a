import { For, type JSX } from "solid-js";
import type { PipelineDetail } from "../../../../contract/read.ts";
import { Icon } from "../../ui/icons.tsx";
import { judge } from "./judgement.ts";

export function Verdict(props: { detail: PipelineDetail }): JSX.Element {
  const judgement = () => judge(props.detail);
  return (
    <section class="panel verdict" data-tone={judgement().tone}>
      <Icon name={judgement().tone === "ok" || judgement().tone === "info" ? "live" : "warn"} />
      <div>
        <h2>{judgement().title}</h2>
        <For each={judgement().lines}>{(line) => <p>{line}</p>}</For>
      </div>
    </section>
  );
}
