import "./change-list.css";
import { For, type JSX, Show } from "solid-js";
import type { Change } from "../../../contract/fleet.ts";
import { describeChange } from "./change-words.ts";

/** What has happened to devices, newest first. Every line leads to the device, or to the group that fell silent. */
export function ChangeList(props: {
  changes: readonly Change[];
  /** The device is known from where the list stands. */
  ofOneDevice?: boolean;
  time(iso: string): string;
  ago(iso: string): string;
  href(path: string): string;
}): JSX.Element {
  return (
    <ol class="changes">
      <For each={props.changes}>
        {(change) => {
          const words = describeChange(change);
          return (
            <li class="change" data-kind={change.kind}>
              <i aria-hidden="true" />
              <p class="change-words">
                <Show when={!props.ofOneDevice} fallback={words.text}>
                  <Show when={words.subject} fallback={<a href={props.href(words.path)}>{words.text}</a>}>
                    {(subject) => (
                      <>
                        <a href={props.href(words.path)}>{subject()}</a> {words.text}
                      </>
                    )}
                  </Show>
                </Show>
              </p>
              <time datetime={change.at} title={props.ago(change.at)}>
                {props.time(change.at)}
              </time>
            </li>
          );
        }}
      </For>
    </ol>
  );
}
