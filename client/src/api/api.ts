import { type Accessor, createSignal } from "solid-js";
import type { AlertHistory, Alerts, Channels, PushInfo, Rules, Silences } from "../../../contract/alerts.ts";
import type { Changes, DeviceGroups, Facets } from "../../../contract/fleet.ts";
import type { DeviceDetail, Devices, Events, EventTypes, History, PipelineDetail } from "../../../contract/read.ts";
import type { Session } from "../../../contract/session.ts";
import type { Storage } from "../../../contract/storage.ts";
import type { PartUpdate } from "../../../contract/stream.ts";
import type { SharedView, Views } from "../../../contract/views.ts";

/** What each reading route answers. The shapes are the server's contract; only their types come here. */
interface Answers {
  "/api/history": History;
  "/api/event-types": EventTypes;
  "/api/devices": Devices;
  [groups: `/api/devices?group=${string}`]: DeviceGroups;
  "/api/facets": Facets;
  "/api/changes": Changes;
  "/api/live": PartUpdate;
  "/api/session": Session;
  "/api/events": Events;
  "/api/pipeline": PipelineDetail;
  "/api/storage": Storage;
  "/api/alerts": Alerts;
  "/api/alerts/rules": Rules;
  "/api/alerts/history": AlertHistory;
  "/api/alerts/silences": Silences;
  "/api/alerts/channels": Channels;
  "/api/alerts/push": PushInfo;
  "/api/views": Views;
  /** Of a shared link alone: the view that it shows. */
  "/view": SharedView;
  [device: `/api/devices/${string}`]: DeviceDetail;
}

export interface ApiFailure {
  ok: false;
  /** `aborted` is nobody's fault and is not shown. */
  reason: "signed_out" | "unreachable" | "refused" | "aborted";
  status: number;
  code: string;
  /** A sentence for a person. */
  message: string;
}
export type ApiResult<T> = { ok: true; data: T } | ApiFailure;

export type Query = Record<string, string | readonly string[] | undefined>;

export interface Api {
  get<P extends keyof Answers>(path: P, query?: Query, signal?: AbortSignal): Promise<ApiResult<Answers[P]>>;
  /** What was asked for since `forgetAsked`: path and query of each reading request, once. */
  asked(): string[];
  forgetAsked(): void;
  /** Before each path: `/shared/TOKEN` where a shared link is looked at, else empty. */
  readonly base: string;
  /** Changes something; `T` is what the contract says of the route's answer (null where it has none). */
  change<T>(
    method: "POST" | "PUT" | "DELETE",
    path: `/api/${string}`,
    body?: object,
    signal?: AbortSignal,
  ): Promise<ApiResult<T>>;
  /** True after any answer of 401, until a sign-in succeeds. */
  signedOut: Accessor<boolean>;
  requireSignIn(): void;
  signIn(key: string): Promise<ApiResult<null>>;
  signOut(): Promise<ApiResult<null>>;
}

export function queryString(query: Query): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === "") continue;
    if (typeof value === "string") params.set(name, value);
    else for (const each of value) params.append(name, each);
  }
  const text = params.toString();
  return text === "" ? "" : `?${text}`;
}

/** `path` may have a query already. */
function withQuery(path: string, query: Query): string {
  const text = queryString(query);
  return path.includes("?") ? path + text.replace("?", "&") : path + text;
}

/** Longer than the server's own query limit, so that its answer, which says more, comes first. */
const timeoutMs = 30_000;

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** @param base what comes before each path: `/shared/TOKEN` under a shared link, else empty. */
export function createApi(doFetch: Fetch, base = ""): Api {
  const [signedOut, setSignedOut] = createSignal(false);
  const asked = new Set<string>();

  const send = async (path: string, init: RequestInit): Promise<ApiResult<unknown>> => {
    const limits = [AbortSignal.timeout(timeoutMs), ...(init.signal ? [init.signal] : [])];
    try {
      const response = await doFetch(base + path, { priority: "low", ...init, signal: AbortSignal.any(limits) });
      if (response.status === 204) return { ok: true, data: null };
      const body: unknown = await response.json();
      if (response.ok) return { ok: true, data: body };
      if (response.status === 401) setSignedOut(true);
      return refusal(response.status, body);
    } catch (error) {
      if (init.signal?.aborted) return { ok: false, reason: "aborted", status: 0, code: "aborted", message: "" };
      const message = error instanceof SyntaxError ? "The answer could not be read." : "The service does not answer.";
      return { ok: false, reason: "unreachable", status: 0, code: "unreachable", message };
    }
  };

  return {
    async get<P extends keyof Answers>(path: P, query: Query = {}, signal?: AbortSignal) {
      const full = withQuery(path, query);
      if (path !== "/api/views") asked.add(full);
      const answer = await send(full, {
        headers: { Accept: "application/json" },
        ...(signal ? { signal } : {}),
      });
      // The one place where the contract's word is taken for the shape: the server's tests hold it to it.
      return answer as ApiResult<Answers[P]>;
    },
    asked: () => [...asked],
    forgetAsked: () => asked.clear(),
    base,
    async change<T>(method: string, path: string, body?: object, signal?: AbortSignal) {
      const answer = await send(path, {
        method,
        headers: { Accept: "application/json", ...(body ? { "Content-Type": "application/json" } : {}) },
        ...(body ? { body: JSON.stringify(body) } : {}),
        ...(signal ? { signal } : {}),
      });
      return answer as ApiResult<T>;
    },
    signedOut,
    requireSignIn: () => setSignedOut(true),
    async signIn(key) {
      const answer = await send("/api/session", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ key }),
      });
      if (!answer.ok) return answer;
      setSignedOut(false);
      return { ok: true, data: null };
    },
    async signOut() {
      const answer = await send("/api/session", { method: "DELETE" });
      return answer.ok ? { ok: true, data: null } : answer;
    },
  };
}

function refusal(status: number, body: unknown): ApiFailure {
  const reason = status === 401 ? "signed_out" : "refused";
  const failure = {
    ok: false,
    reason,
    status,
    code: String(status),
    message: `The service answered ${status}.`,
  } as const;
  if (typeof body !== "object" || body === null || !("error" in body)) return failure;
  const { error } = body;
  if (typeof error !== "object" || error === null) return failure;
  return {
    ...failure,
    ...("code" in error && typeof error.code === "string" ? { code: error.code } : {}),
    ...("message" in error && typeof error.message === "string" ? { message: error.message } : {}),
  };
}
