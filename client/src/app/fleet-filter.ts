import type { Accessor } from "solid-js";
import { createMemo } from "solid-js";
import { metadataPrefix, type Router } from "./router.ts";

/** The part of the fleet that is looked at, by newest metadata: in the URL as `meta.site=…`, on every page alike. */
export interface FleetFilter {
  /** Metadata key → value. */
  values: Accessor<Readonly<Record<string, string>>>;
  active: Accessor<boolean>;
  /** Undefined takes the key's condition away. */
  set(key: string, value: string | undefined): void;
  clear(): void;
  /** As the API's query takes it: `meta.KEY` → value. */
  query: Accessor<Record<string, string>>;
}

/** Must be called under a Solid owner. */
export function createFleetFilter(router: Router): FleetFilter {
  const query = createMemo(() => router.paramsUnder(metadataPrefix), undefined, {
    equals: (a, b) => JSON.stringify(a) === JSON.stringify(b),
  });
  const values = createMemo(() =>
    Object.fromEntries(Object.entries(query()).map(([name, value]) => [name.slice(metadataPrefix.length), value])),
  );
  return {
    values,
    active: () => Object.keys(query()).length > 0,
    set: (key, value) => router.setParams({ [metadataPrefix + key]: value }, { push: true }),
    clear: () =>
      router.setParams(Object.fromEntries(Object.keys(query()).map((name) => [name, undefined])), { push: true }),
    query,
  };
}
