import { type JSX, onMount } from "solid-js";

/** A modal dialog that is open as long as it is rendered. Escape and a click beside it close it. */
export function Dialog(props: {
  /** The id of its heading. */
  labelledBy: string;
  onClose(): void;
  class?: string;
  children: JSX.Element;
}): JSX.Element {
  let dialog!: HTMLDialogElement;
  onMount(() => dialog.showModal());
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape closes a dialog already
    <dialog
      ref={dialog}
      class={`dialog ${props.class ?? ""}`}
      aria-labelledby={props.labelledBy}
      onClose={() => props.onClose()}
      onClick={(event) => {
        if (event.target === dialog) dialog.close();
      }}
    >
      {props.children}
    </dialog>
  );
}
