import type { SocketListener } from "../../base/http/socket-listener.ts";

export type { Handler } from "../../base/http/handler.ts";

/** What brings requests to a handler. */
export interface Listener extends Omit<SocketListener, "beginHead"> {
  /** Reads the certificate again. */
  reload(): void;
}
