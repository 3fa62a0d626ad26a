import type { JSX } from "solid-js";
import type { Severity } from "../../../../contract/alerts.ts";

const words: Record<Severity, string> = { critical: "Critical", warning: "Warning", info: "Info" };

/** Shape and word beside the colour, so that none of them is the only sign. */
export function SeverityMark(props: { severity: Severity }): JSX.Element {
  return (
    <span class="severity" data-severity={props.severity}>
      <i aria-hidden="true" />
      {words[props.severity]}
    </span>
  );
}
