import { Webhook } from "standardwebhooks";

export interface ReceivedMessage {
  readonly id: string;
  readonly atMs: number;
  readonly headers: Record<string, string>;
  readonly body: WebhookBody;
  /** Why the signature does not hold; null: it does, or nobody gave a secret. */
  readonly fault: string | null;
}

export interface WebhookBody {
  readonly type: "alert.firing" | "alert.resolved";
  readonly timestamp: string;
  readonly data: {
    readonly alerts: readonly {
      readonly id: string;
      readonly rule: string;
      readonly state: string;
      readonly device_id?: string;
      readonly value: unknown;
      readonly message: string;
    }[];
    readonly group: Record<string, unknown>;
    readonly repeat?: boolean;
    readonly test?: boolean;
  };
}

export interface WebhookReceiver {
  readonly url: string;
  readonly received: ReceivedMessage[];
  /** Signatures are checked with it from here on. */
  secret: string | null;
  /** What it answers; a function may look at how many there were. */
  answer: (request: Request, count: number) => Response | Promise<Response>;
  stop(): Promise<void>;
}

/** A receiver of signed webhooks that keeps what it was sent. */
export function startWebhookReceiver(port = 0): WebhookReceiver {
  let count = 0;
  const receiver: Omit<WebhookReceiver, "url" | "stop"> = {
    received: [],
    secret: null,
    answer: () => new Response(null, { status: 204 }),
  };
  const server = Bun.serve({
    port,
    hostname: "127.0.0.1",
    maxRequestBodySize: 2 ** 30,
    async fetch(request) {
      const text = await request.text();
      const headers = Object.fromEntries(request.headers);
      let fault: string | null = null;
      try {
        if (receiver.secret !== null) new Webhook(receiver.secret).verify(text, headers);
      } catch (error) {
        fault = String(error);
      }
      const response = await receiver.answer(request, count++);
      if (response.ok) {
        const body = JSON.parse(text) as WebhookBody;
        receiver.received.push({ id: headers["webhook-id"] ?? "", atMs: Date.now(), headers, body, fault });
      }
      return response;
    },
  });
  return Object.assign(receiver, {
    url: `http://127.0.0.1:${server.port}/hook`,
    stop: () => server.stop(true),
  });
}
