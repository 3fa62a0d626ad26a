import "./severity-mark.css";
import type { JSX } from "solid-js";
import type { Severity } from "../../../contract/alerts.ts";

const words: Record<Severity, string> = { critical: "Critical", warning: "Warning", info: "Info" };

/** Shape and word beside the colour, so that none of them is the only sign. */
export function SeverityMark(props: { severity: Severity; shapeOnly?: boolean; title?: string }): JSX.Element {
  return (
    <span class="severity" data-severity={props.severity} title={props.title}>
      <i aria-hidden="true" />
      <span classList={{ "visually-hidden": props.shapeOnly === true }}>{words[props.severity]}</span>
    </span>
  );
}
