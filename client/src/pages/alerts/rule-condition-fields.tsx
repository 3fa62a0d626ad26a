import { For, type JSX, Match, Switch } from "solid-js";
import type { Measure, Signal } from "../../../../contract/alerts.ts";
import { createQuery } from "../../api/query.ts";
import { useApp } from "../../app/context.tsx";
import { ChoiceField, TextField } from "./field.tsx";
import { type RuleDraft, signalWords } from "./rule-draft.ts";

export interface FieldsProps {
  draft: RuleDraft;
  change(changes: Partial<RuleDraft>): void;
  fault(field: keyof RuleDraft): string | undefined;
}

const kinds = [
  ["value", "A value"],
  ["silent", "A silent device"],
  ["text", "A text"],
  ["pipeline", "The pipeline"],
] as const;
const measures: readonly (readonly [Measure, string])[] = [
  ["last", "Latest value"],
  ["avg", "Average"],
  ["min", "Minimum"],
  ["max", "Maximum"],
  ["sum", "Sum"],
  ["p50", "Median (p50)"],
  ["p95", "p95"],
  ["p99", "p99"],
  ["count", "Number of events"],
  ["rate", "Events per second"],
];
const signals = Object.entries(signalWords) as [Signal, string][];

/** What has to hold for the rule to fire, and for which devices. */
export function ConditionFields(props: FieldsProps): JSX.Element {
  const { draft } = props;
  return (
    <>
      <TextField
        label="Name"
        value={draft.name}
        fault={props.fault("name")}
        onInput={(name) => props.change({ name })}
      />
      <ChoiceField label="Watch" value={draft.kind} options={kinds} onChange={(kind) => props.change({ kind })} />
      <Switch>
        <Match when={draft.kind === "value"}>
          <ValueFields {...props} />
        </Match>
        <Match when={draft.kind === "text"}>
          <TextFields {...props} />
        </Match>
        <Match when={draft.kind === "silent"}>
          <SilentFields {...props} />
        </Match>
        <Match when={draft.kind === "pipeline"}>
          <PipelineFields {...props} />
        </Match>
      </Switch>
      <Switch>
        <Match when={draft.kind !== "pipeline"}>
          <TextField
            label="Only devices whose id starts with"
            value={draft.prefix}
            placeholder="all devices"
            onInput={(prefix) => props.change({ prefix })}
          />
          <TextField
            label="Only devices with metadata"
            value={draft.meta}
            placeholder="site=Rotterdam, firmware=4.2"
            fault={props.fault("meta")}
            onInput={(meta) => props.change({ meta })}
          />
        </Match>
      </Switch>
    </>
  );
}

function EventTypeField(props: FieldsProps): JSX.Element {
  const { api } = useApp();
  const types = createQuery(
    () => undefined,
    (_, signal) => api.get("/api/event-types", {}, signal),
  );
  return (
    <>
      <TextField
        label="Event type"
        value={props.draft.eventType}
        list="rule-event-types"
        fault={props.fault("eventType")}
        onInput={(eventType) => props.change({ eventType })}
      />
      <datalist id="rule-event-types">
        <For each={types.data()?.event_types ?? []}>{({ event_type }) => <option value={event_type} />}</For>
      </datalist>
    </>
  );
}

function ValueFields(props: FieldsProps): JSX.Element {
  const { draft } = props;
  return (
    <>
      <EventTypeField {...props} />
      <div class="form-row">
        <ChoiceField
          label="Measure"
          value={draft.measure}
          options={measures}
          onChange={(measure) => props.change({ measure })}
        />
        <TextField
          label="Window"
          value={draft.window}
          hint="By the event's own time, such as 1m"
          fault={props.fault("window")}
          onInput={(window) => props.change({ window })}
        />
      </div>
      <div class="form-row">
        <ChoiceField
          label="Fires when it is"
          value={draft.direction}
          options={[
            ["above", "above"],
            ["below", "below"],
          ]}
          onChange={(direction) => props.change({ direction })}
        />
        <TextField
          label="Threshold"
          numeric
          value={draft.threshold}
          fault={props.fault("threshold")}
          onInput={(threshold) => props.change({ threshold })}
        />
        <TextField
          label="Recovers at"
          numeric
          value={draft.recover}
          placeholder="the threshold"
          fault={props.fault("recover")}
          onInput={(recover) => props.change({ recover })}
        />
      </div>
      <TextField
        label="One alert for"
        value={draft.by}
        hint="device, fleet, or meta.KEY for each value of a metadata key"
        onInput={(by) => props.change({ by })}
      />
    </>
  );
}

function TextFields(props: FieldsProps): JSX.Element {
  return (
    <>
      <EventTypeField {...props} />
      <div class="form-row">
        <ChoiceField
          label="Fires when the text"
          value={props.draft.textMatch}
          options={[
            ["equals", "equals"],
            ["matches", "matches the pattern"],
          ]}
          onChange={(textMatch) => props.change({ textMatch })}
        />
        <TextField
          label="Text"
          value={props.draft.text}
          fault={props.fault("text")}
          onInput={(text) => props.change({ text })}
        />
      </div>
    </>
  );
}

function SilentFields(props: FieldsProps): JSX.Element {
  return (
    <div class="form-row">
      <TextField
        label="Silent for at least"
        value={props.draft.after}
        placeholder="5m"
        fault={props.fault("after")}
        onInput={(after) => props.change({ after })}
      />
      <TextField
        label="And for so many of its own intervals"
        numeric
        value={props.draft.intervals}
        fault={props.fault("intervals")}
        onInput={(intervals) => props.change({ intervals })}
      />
    </div>
  );
}

function PipelineFields(props: FieldsProps): JSX.Element {
  return (
    <div class="form-row">
      <ChoiceField
        label="Signal"
        value={props.draft.signal}
        options={signals}
        onChange={(signal) => props.change({ signal })}
      />
      <TextField
        label="Fires above"
        numeric
        value={props.draft.threshold}
        placeholder="0"
        fault={props.fault("threshold")}
        onInput={(threshold) => props.change({ threshold })}
      />
    </div>
  );
}
