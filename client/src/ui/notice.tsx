import { type JSX, Show } from "solid-js";
import { Icon } from "./icons.tsx";

/** A state of the page in words: what is so, and what can be done. */
export function Notice(props: {
  tone: "info" | "warn" | "bad";
  title: string;
  children?: JSX.Element;
  action?: JSX.Element;
}): JSX.Element {
  return (
    <div class="notice" data-tone={props.tone} role="status">
      <Icon name={props.tone === "info" ? "help" : "warn"} />
      <div class="notice-text">
        <strong>{props.title}</strong>
        <Show when={props.children}>
          <span> {props.children}</span>
        </Show>
      </div>
      {props.action}
    </div>
  );
}

/** A place that has nothing to show yet. */
export function Blank(props: { title: string; children?: JSX.Element }): JSX.Element {
  return (
    <div class="blank">
      <p class="blank-title">{props.title}</p>
      <Show when={props.children}>
        <div class="blank-text">{props.children}</div>
      </Show>
    </div>
  );
}
