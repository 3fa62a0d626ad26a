import { createECDH, randomBytes } from "node:crypto";
import { decrypt } from "http_ece";

export interface PushedMessage {
  readonly headers: Record<string, string>;
  /** Decrypted with the browser's own keys. */
  readonly payload: unknown;
}

/** A push service with one browser behind it, which decrypts what it is sent (RFC 8291). */
export interface PushService {
  readonly subscription: { endpoint: string; keys: { p256dh: string; auth: string } };
  readonly messages: PushedMessage[];
  status: number;
  stop(): Promise<void>;
}

export function startPushService(): PushService {
  const browser = createECDH("prime256v1");
  const p256dh = browser.generateKeys("base64url");
  const auth = randomBytes(16);
  const service = { messages: [] as PushedMessage[], status: 201 };
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const body = Buffer.from(await request.arrayBuffer());
      if (service.status === 201) {
        const plain = decrypt(body, {
          version: "aes128gcm",
          privateKey: browser,
          authSecret: auth.toString("base64url"),
        });
        service.messages.push({ headers: Object.fromEntries(request.headers), payload: JSON.parse(plain.toString()) });
      }
      return new Response(null, { status: service.status });
    },
  });
  const subscription = {
    endpoint: `http://127.0.0.1:${server.port}/push/1`,
    keys: { p256dh, auth: auth.toString("base64url") },
  };
  return Object.assign(service, { subscription, stop: () => server.stop(true) });
}
