import { type JSX, Show } from "solid-js";
import type { SharedView } from "../../../contract/views.ts";
import { formatTime } from "../ui/format.ts";
import { Blank } from "../ui/notice.tsx";
import { useApp } from "./context.tsx";
import { Main } from "./shell.tsx";
import { Connection, ConnectionNotice } from "./top-bar.tsx";

/** The frame around the one view of a read-only link: its name, its connection and its end. Made to be embedded. */
export function SharedShell(props: { view: SharedView }): JSX.Element {
  const { preferences } = useApp();
  return (
    <>
      <header class="top">
        <span class="brand">
          <img src="/favicon.svg" width="24" height="24" alt="" />
          <span>{props.view.name}</span>
        </span>
        <p class="panel-note push">
          Read-only, until {formatTime(Date.parse(props.view.expires_at), preferences.zone(), "minute_of_day")}
        </p>
        <Connection />
      </header>
      <ConnectionNotice />
      <Main signedOut={false} />
    </>
  );
}

/** A link that has expired or was revoked, or a service that does not answer. */
export function LinkEnded(props: { message: string }): JSX.Element {
  return (
    <main class="page">
      <section class="panel">
        <h1 class="visually-hidden">Shared view</h1>
        <Blank title="This link cannot be shown">
          <Show when={props.message}>
            <p>{props.message}</p>
          </Show>
          <p>It may have expired or been revoked. Ask whoever sent it for a new one.</p>
        </Blank>
      </section>
    </main>
  );
}
