import { createSignal, type JSX, onMount, Show } from "solid-js";
import { useApp } from "../../app/context.tsx";

type State = "unsupported" | "off" | "on" | "blocked" | "busy";

/** This browser as a receiver: alerts arrive while the page is closed. */
export function PushSwitch(): JSX.Element {
  const { api } = useApp();
  const [state, setState] = createSignal<State>("busy");
  const [fault, setFault] = createSignal("");
  const supported = "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;

  const read = async (): Promise<void> => {
    if (!supported) return void setState("unsupported");
    if (Notification.permission === "denied") return void setState("blocked");
    const registration = await navigator.serviceWorker.getRegistration();
    setState((await registration?.pushManager.getSubscription()) ? "on" : "off");
  };
  onMount(() => void read());

  const turnOn = async (): Promise<void> => {
    setState("busy");
    setFault("");
    const key = await api.get("/api/alerts/push");
    if (!key.ok) setFault(key.message);
    else if ((await Notification.requestPermission()) === "granted") {
      try {
        const registration = await navigator.serviceWorker.ready;
        const subscription = await registration.pushManager.subscribe({
          userVisibleOnly: true,
          applicationServerKey: key.data.public_key,
        });
        const answer = await api.change("POST", "/api/alerts/push", subscription.toJSON());
        if (!answer.ok) setFault(answer.message);
      } catch (error) {
        setFault(error instanceof Error ? error.message : String(error));
      }
    }
    await read();
  };
  const turnOff = async (): Promise<void> => {
    setState("busy");
    const registration = await navigator.serviceWorker.getRegistration();
    const subscription = await registration?.pushManager.getSubscription();
    if (subscription) {
      await api.change("DELETE", "/api/alerts/push", { endpoint: subscription.endpoint });
      await subscription.unsubscribe();
    }
    await read();
  };
  const words: Record<State, string> = {
    unsupported: "This browser cannot receive push messages. On iOS, add the page to the Home Screen first.",
    blocked: "Notifications are blocked for this site in the browser's settings.",
    off: "This browser does not receive alerts while the page is closed.",
    on: "This browser receives alerts, also while the page is closed.",
    busy: "",
  };
  return (
    <section class="panel panel-head">
      <h2>This browser</h2>
      <p class="panel-note" role="status">
        {fault() === "" ? words[state()] : fault()}
      </p>
      <Show when={state() === "off" || state() === "on"}>
        <button
          type="button"
          class="button push"
          aria-pressed={state() === "on"}
          onClick={() => void (state() === "on" ? turnOff() : turnOn())}
        >
          {state() === "on" ? "Stop push messages" : "Receive push messages"}
        </button>
      </Show>
    </section>
  );
}
