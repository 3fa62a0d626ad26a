import "./popover.css";
import { makeEventListener } from "@solid-primitives/event-listener";
import { createSignal, createUniqueId, type JSX, Show } from "solid-js";

/**
 * A button and what it opens: under the button on a desk, a sheet from the bottom on a phone. The browser's own popover
 * closes it on Escape and on a click elsewhere, and gives the focus back.
 */
export function Popover(props: {
  /** Names what opens, for who cannot see it. */
  label: string;
  button: JSX.Element;
  buttonClass?: string;
  title?: string;
  /** The edge of the button that what opens keeps to. */
  align?: "start" | "end";
  /** Rendered each time it opens. */
  children: (close: () => void) => JSX.Element;
}): JSX.Element {
  const id = createUniqueId();
  const [open, setOpen] = createSignal(false);
  let button!: HTMLButtonElement;
  let panel!: HTMLDivElement;

  const place = (): void => {
    const anchor = button.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = panel;
    const left = props.align === "end" ? anchor.right - width : anchor.left;
    const below = anchor.bottom + 6;
    const top = below + height > innerHeight - 8 ? Math.max(8, innerHeight - height - 8) : below;
    panel.style.setProperty("--popover-left", `${Math.max(8, Math.min(left, innerWidth - width - 8))}px`);
    panel.style.setProperty("--popover-top", `${top}px`);
  };
  const toggled = (event: ToggleEvent): void => {
    setOpen(event.newState === "open");
    if (event.newState !== "open") return;
    place();
    panel.querySelector<HTMLElement>("[data-autofocus]")?.focus();
  };

  // Chromium closes an open popover on Escape wherever the focus is; Firefox, driven by a program, does not.
  makeEventListener(document, "keydown", (event) => {
    if (event.key !== "Escape" || !open()) return;
    event.preventDefault();
    panel.hidePopover();
    button.focus();
  });

  return (
    <>
      <button
        type="button"
        ref={button}
        class={props.buttonClass ?? "button"}
        title={props.title}
        aria-expanded={open()}
        aria-haspopup="dialog"
        popovertarget={id}
      >
        {props.button}
      </button>
      <div id={id} ref={panel} class="popover" popover="auto" role="dialog" aria-label={props.label} onToggle={toggled}>
        <Show when={open()}>{props.children(() => panel.hidePopover())}</Show>
      </div>
    </>
  );
}
