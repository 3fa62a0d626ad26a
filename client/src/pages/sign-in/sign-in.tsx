import "./sign-in.css";
import { createSignal, type JSX, Show } from "solid-js";
import { useApp } from "../../app/context.tsx";

export default function SignIn(): JSX.Element {
  const { api } = useApp();
  const [message, setMessage] = createSignal("");
  const [busy, setBusy] = createSignal(false);
  const submit = async (event: SubmitEvent & { currentTarget: HTMLFormElement }): Promise<void> => {
    event.preventDefault();
    const key = new FormData(event.currentTarget).get("key");
    if (typeof key !== "string" || key === "") {
      setMessage("Enter the viewer key.");
      return;
    }
    setBusy(true);
    const answer = await api.signIn(key.trim());
    setBusy(false);
    if (!answer.ok) setMessage(answer.reason === "unreachable" ? answer.message : "This key is not accepted.");
  };
  return (
    <div class="page sign-in-page">
      <form class="panel sign-in" onSubmit={(event) => void submit(event)}>
        <h1>Sign in</h1>
        <p>This service shows its data to viewers with a key. Whoever runs it can give you one.</p>
        <label for="key">Viewer key</label>
        <input
          id="key"
          name="key"
          type="password"
          autocomplete="current-password"
          aria-invalid={message() !== ""}
          aria-describedby="key-message"
          autofocus
        />
        <p id="key-message" class="form-message" role="alert">
          {message()}
        </p>
        <button type="submit" class="button primary" disabled={busy()}>
          <Show when={busy()} fallback="Sign in">
            Signing in
          </Show>
        </button>
      </form>
    </div>
  );
}
