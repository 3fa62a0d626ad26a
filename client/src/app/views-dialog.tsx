import "./views-dialog.css";
import { createSignal, For, type JSX, onMount, Show } from "solid-js";
import type { View, ViewBody, ViewLink } from "../../../contract/views.ts";
import type { ApiFailure } from "../api/api.ts";
import { createQuery } from "../api/query.ts";
import { formatTime } from "../ui/format.ts";
import { Notice } from "../ui/notice.tsx";
import { useApp } from "./context.tsx";
import { viewRequests } from "./view-requests.ts";

/** Views that the service keeps: the page as it is now can be saved, and a saved one opened, pinned, shared or deleted. */
export default function ViewsDialog(props: { onClose(): void }): JSX.Element {
  const { api } = useApp();
  const [failure, setFailure] = createSignal<ApiFailure>();
  let dialog!: HTMLDialogElement;
  onMount(() => dialog.showModal());
  const query = createQuery(
    () => undefined,
    (_, signal) => api.get("/api/views", {}, signal),
  );
  const change = async (method: "POST" | "PUT" | "DELETE", path: `/api/${string}`, body?: object): Promise<boolean> => {
    const answer = await api.change(method, path, body);
    setFailure(answer.ok ? undefined : answer);
    query.refresh();
    return answer.ok;
  };
  return (
    <dialog ref={dialog} class="dialog views" aria-labelledby="views-title" onClose={() => props.onClose()}>
      <h2 id="views-title">Views</h2>
      <SaveView onSave={(body) => change("POST", "/api/views", body)} />
      <Show when={query.failure() ?? failure()}>
        {(fault) => (
          <Notice tone="warn" title="The views cannot be read or changed.">
            {fault().message}
          </Notice>
        )}
      </Show>
      <ul class="view-list">
        <For each={query.data()?.views} fallback={<li class="panel-note">No view is saved yet.</li>}>
          {(view) => <ViewRow view={view} change={change} onOpen={() => dialog.close()} />}
        </For>
      </ul>
      <form method="dialog">
        <button type="submit" class="button">
          Close
        </button>
      </form>
    </dialog>
  );
}

function SaveView(props: { onSave(body: ViewBody): Promise<boolean> }): JSX.Element {
  const { api } = useApp();
  const [name, setName] = createSignal("");
  const save = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    if (name().trim() === "") return;
    const path = location.pathname + location.search;
    if (await props.onSave({ name: name().trim(), path, requests: viewRequests(api.asked()) })) setName("");
  };
  return (
    <form class="view-save" onSubmit={(event) => void save(event)}>
      <label class="visually-hidden" for="view-name">
        Name of the view
      </label>
      <input
        id="view-name"
        type="text"
        placeholder="Name this page as it is now"
        autocomplete="off"
        value={name()}
        onInput={(event) => setName(event.currentTarget.value)}
      />
      <button type="submit" class="button primary" disabled={name().trim() === ""}>
        Save view
      </button>
    </form>
  );
}

function ViewRow(props: {
  view: View;
  change(method: "POST" | "PUT" | "DELETE", path: `/api/${string}`, body?: object): Promise<boolean>;
  onOpen(): void;
}): JSX.Element {
  const { router } = useApp();
  const at = (): `/api/${string}` => `/api/views/${encodeURIComponent(props.view.id)}`;
  const open = (event: MouseEvent): void => {
    event.preventDefault();
    props.onOpen();
    router.go(props.view.path);
  };
  const pin = (): void => {
    const { name, path, requests, pinned } = props.view;
    void props.change("PUT", at(), { name, path, requests, pinned: !pinned });
  };
  const remove = (): void => {
    if (confirm(`Delete the view “${props.view.name}”? Its links stop working.`)) void props.change("DELETE", at());
  };
  return (
    <li>
      <div class="view-row">
        <a href={props.view.path} class="clip" onClick={open}>
          {props.view.name}
        </a>
        <button type="button" class="button" aria-pressed={props.view.pinned} onClick={pin}>
          Pin
        </button>
        <button
          type="button"
          class="button"
          onClick={() => void props.change("POST", `${at()}/links`, { expires: "7d" })}
        >
          New link
        </button>
        <button type="button" class="button" aria-label={`Delete ${props.view.name}`} onClick={remove}>
          Delete
        </button>
      </div>
      <For each={props.view.links}>
        {(link) => (
          <LinkRow
            link={link}
            onRevoke={() => void props.change("DELETE", `/api/links/${encodeURIComponent(link.id)}`)}
          />
        )}
      </For>
    </li>
  );
}

/** Whoever has the link sees this view, and nothing else, until it expires. */
function LinkRow(props: { link: ViewLink; onRevoke(): void }): JSX.Element {
  const { preferences } = useApp();
  const [copied, setCopied] = createSignal(false);
  const url = (): string => new URL(props.link.url, location.origin).href;
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(url());
    setCopied(true);
  };
  return (
    <div class="view-row view-link">
      <a href={url()} target="_blank" rel="noopener" data-server>
        Read-only link
      </a>
      <span class="panel-note">
        expires {formatTime(Date.parse(props.link.expires_at), preferences.zone(), "minute_of_day")}
      </span>
      <button type="button" class="button" onClick={() => void copy()}>
        {copied() ? "Copied" : "Copy link"}
      </button>
      <button type="button" class="button" onClick={() => props.onRevoke()}>
        Revoke
      </button>
    </div>
  );
}
