/** The seconds before this page was open, or while it was cut off: asked for when a chart wants them and they are missing. */
export interface Past {
  /** From now on they are asked for whenever they are missing. */
  want(): void;
  /** There is a gap to fill. */
  miss(): void;
  fill(): Promise<void>;
}

/** `ask` fills the gap; false: not now. */
export function makePast(deps: { readonly canAsk: () => boolean; readonly ask: () => Promise<boolean> }): Past {
  let isWanted = false;
  let isMissing = false;

  async function fill(): Promise<void> {
    if (!isWanted || !isMissing || !deps.canAsk()) return;
    isMissing = false;
    if (!(await deps.ask())) isMissing = true;
  }

  return {
    want() {
      isWanted = true;
      void fill();
    },
    miss() {
      isMissing = true;
    },
    fill,
  };
}
