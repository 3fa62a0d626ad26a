import type { Alert, AlertHistory, Alerts, CreatedChannel, StoredRule } from "../../contract/alerts.ts";
import type { Service } from "../../testing/test-service.ts";

/** What tests say to `/api/alerts`. Throws with the answer when it is not as expected. */
export function alertsOf(service: Service, headers: Record<string, string> = {}) {
  async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(`${service.url}/api/alerts${path}`, {
      method,
      headers: { ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (text === "" ? null : JSON.parse(text)) as T;
  }
  return {
    call,
    createRule: (rule: unknown) => call<StoredRule>("POST", "/rules", rule),
    createChannel: (channel: unknown) => call<CreatedChannel>("POST", "/channels", channel),
    async list(query = ""): Promise<readonly Alert[]> {
      return (await call<Alerts>("GET", query)).alerts;
    },
    async history(query = ""): Promise<AlertHistory["transitions"]> {
      return (await call<AlertHistory>("GET", `/history${query}`)).transitions;
    },
  };
}
