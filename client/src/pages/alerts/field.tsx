import { createUniqueId, type JSX, Show } from "solid-js";

/** A labelled input with its hint and, when it has to change, why. */
export function Field(props: {
  label: string;
  hint?: string;
  fault?: string | undefined;
  children(id: string, describedBy: string): JSX.Element;
}): JSX.Element {
  const id = createUniqueId();
  return (
    <div class="form-field" data-fault={props.fault ? "" : undefined}>
      <label for={id}>{props.label}</label>
      {props.children(id, `${id}-hint`)}
      <p id={`${id}-hint`} class="form-hint">
        <Show when={props.fault} fallback={props.hint}>
          {(fault) => <span class="form-fault">{fault()}</span>}
        </Show>
      </p>
    </div>
  );
}

export function TextField(props: {
  label: string;
  value: string;
  onInput(value: string): void;
  hint?: string;
  fault?: string | undefined;
  placeholder?: string;
  list?: string;
  numeric?: boolean;
}): JSX.Element {
  return (
    <Field label={props.label} {...(props.hint ? { hint: props.hint } : {})} fault={props.fault}>
      {(id, describedBy) => (
        <input
          id={id}
          type="text"
          autocomplete="off"
          spellcheck={false}
          inputmode={props.numeric ? "decimal" : undefined}
          list={props.list}
          placeholder={props.placeholder}
          value={props.value}
          aria-describedby={describedBy}
          aria-invalid={props.fault ? true : undefined}
          onInput={(event) => props.onInput(event.currentTarget.value)}
        />
      )}
    </Field>
  );
}

export function ChoiceField<T extends string>(props: {
  label: string;
  value: T;
  options: readonly (readonly [value: T, label: string])[];
  onChange(value: T): void;
  hint?: string;
}): JSX.Element {
  return (
    <Field label={props.label} {...(props.hint ? { hint: props.hint } : {})}>
      {(id, describedBy) => (
        <select
          id={id}
          aria-describedby={describedBy}
          value={props.value}
          onChange={(event) => {
            const chosen = props.options.find(([value]) => value === event.currentTarget.value);
            if (chosen) props.onChange(chosen[0]);
          }}
        >
          {props.options.map(([value, label]) => (
            <option value={value} selected={value === props.value}>
              {label}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}
