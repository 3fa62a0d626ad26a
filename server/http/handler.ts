/** Answers any request. */
export type Handler = (request: Request) => Response | Promise<Response>;

/** What brings requests to a handler. */
export interface Listener {
  readonly url: URL;
  /** The peer's address; empty when it has gone. */
  addressOf(request: Request): string;
  /** The connection may be idle for so long while this request is answered; 0: for ever. */
  timeout(request: Request, seconds: number): void;
  /** Reads the certificate again. */
  reload(): void;
  stop(): Promise<void>;
}
