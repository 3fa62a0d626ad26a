import type { PushSubscription } from "../../../contract/alerts.ts";
import { errorResponse } from "../../http/errors.ts";
import type { PushRecord } from "../state/records.ts";
import type { Repository } from "../state/repository.ts";
import { createPushKeys, type PushKeys } from "./push.ts";

/** Browsers that may subscribe. */
const subscriptionsMax = 10_000;
const keysFact = "push_keys";

/** The browsers that have subscribed, and the keys by which a push service knows this installation. */
export interface PushBook {
  readonly publicKey: string;
  readonly keys: PushKeys;
  readonly records: readonly PushRecord[];
  /** The same endpoint again takes the place of what was there. */
  subscribe(subscription: PushSubscription, nowMs: number): Response | null;
  unsubscribe(endpoint: string): void;
}

/** The keys are made at the first start and kept: every subscription is bound to them. */
export function openPushBook(repository: Repository): PushBook {
  const kept = repository.fact(keysFact);
  // Written here alone.
  const keys = kept === null ? createPushKeys() : (JSON.parse(kept) as PushKeys);
  if (kept === null) repository.commit([repository.make.fact(keysFact, JSON.stringify(keys))]);
  const records = new Map(repository.pushes().map((record) => [record.endpoint, record]));
  return {
    keys,
    publicKey: keys.publicKey,
    get records() {
      return [...records.values()];
    },
    subscribe({ endpoint, keys: own, severities }, nowMs) {
      if (!URL.canParse(endpoint)) return errorResponse("invalid_body", "endpoint is not a URL");
      if (!isKey(own.p256dh, 65) || !isKey(own.auth, 16))
        return errorResponse("invalid_body", "keys: p256dh must be 65 bytes and auth 16, in base64url");
      if (records.size >= subscriptionsMax && !records.has(endpoint))
        return errorResponse("conflict", `${subscriptionsMax} browsers have subscribed`);
      const record: PushRecord = { endpoint, keys: own, severities: severities ?? null, createdMs: nowMs };
      repository.commit([repository.make.push(record)]);
      records.set(endpoint, record);
      return null;
    },
    unsubscribe(endpoint) {
      if (!records.delete(endpoint)) return;
      repository.commit([{ table: "alert_push", remove: { endpoint } }]);
    },
  };
}

const isKey = (text: string, bytes: number): boolean => Buffer.from(text, "base64url").length === bytes;
