import { type Accessor, createMemo } from "solid-js";
import type { Change } from "../../../../contract/fleet.ts";
import type { Device } from "../../../../contract/read.ts";
import { createQuery, notAsked } from "../../api/query.ts";
import { useApp } from "../../app/context.tsx";
import { type AvailabilitySpan, availabilityOf } from "../../charts/availability.ts";

const dayMs = 86_400_000;
const pageSize = 1_000;
/** A fleet in trouble has more transitions than anybody wants to download; further back is then not known. */
const pagesMax = 5;
const rereadEveryMs = 60_000;

interface Transitions {
  byDevice: ReadonlyMap<string, Change[]>;
  knownFromMs: number;
}

function byDevice(changes: readonly Change[]): Map<string, Change[]> {
  const out = new Map<string, Change[]>();
  for (const change of changes) {
    if (change.device_id === null) continue;
    const known = out.get(change.device_id);
    if (known) known.push(change);
    else out.set(change.device_id, [change]);
  }
  return out;
}

/** What devices were in the last day, for as many rows as there are: their transitions are read once for all of them. */
export function createFleetAvailability(wanted: Accessor<boolean>): (device: Device) => AvailabilitySpan[] | undefined {
  const { api, live } = useApp();
  const transitions = createQuery<boolean, Transitions>(
    wanted,
    async (on, signal) => {
      if (!on) return notAsked;
      const fromMs = Date.now() + live.clockOffsetMs() - dayMs;
      const changes: Change[] = [];
      let cursor: string | null | undefined;
      for (let page = 0; page < pagesMax && cursor !== null; page++) {
        const answer = await api.get(
          "/api/changes",
          {
            kind: ["silent", "online"],
            from: new Date(fromMs).toISOString(),
            limit: String(pageSize),
            cursor: cursor ?? undefined,
          },
          signal,
        );
        if (!answer.ok) return answer;
        changes.push(...answer.data.changes);
        cursor = answer.data.cursor;
      }
      const oldest = changes.at(-1)?.at;
      const knownFromMs = cursor === null || oldest === undefined ? fromMs : Date.parse(oldest);
      return { ok: true, data: { byDevice: byDevice(changes), knownFromMs } };
    },
    { everyMs: rereadEveryMs },
  );
  // A minute is as fine as a bar of a day can show.
  const minute = createMemo(() => Math.floor((live.nowMs() + live.clockOffsetMs()) / 60_000) * 60_000);
  return (device) => {
    const known = transitions.data();
    if (!known) return undefined;
    const toMs = minute() + 60_000;
    return availabilityOf(device, known.byDevice.get(device.device_id) ?? [], {
      fromMs: toMs - dayMs,
      toMs,
      knownFromMs: known.knownFromMs,
    });
  };
}
