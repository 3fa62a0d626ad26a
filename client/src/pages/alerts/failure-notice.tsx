import { type JSX, Show } from "solid-js";
import type { ApiFailure } from "../../api/api.ts";
import { Notice } from "../../ui/notice.tsx";

/** Why a request failed, in the service's own words, under what was being tried. */
export function FailureNotice(props: { failure: ApiFailure | undefined; title: string }): JSX.Element {
  return (
    <Show when={props.failure}>
      {(failure) => (
        <Notice tone={failure().reason === "refused" ? "bad" : "warn"} title={props.title}>
          {failure().message}
        </Notice>
      )}
    </Show>
  );
}
