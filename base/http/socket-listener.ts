import { Connection, type ConnectionDeps, type ConnectionTimes } from "./connection.ts";
import { type HeadLimits, ParserEngine } from "./llhttp.ts";
import { Outbox } from "./outbox.ts";
import { sendResponse } from "./response.ts";
import { SocketRequest } from "./socket-request.ts";

export interface SocketListenerOptions extends ConnectionTimes, HeadLimits {
  readonly hostname: string;
  /** 0: any free one. */
  readonly port: number;
  /** Open at once; a further one is told 503 and closed. */
  readonly connectionsMax: number;
}

/** What brings requests to a handler. */
export interface SocketListener {
  readonly url: URL;
  /** The peer's address; empty when it has gone. */
  addressOf(request: Request): string;
  /** The connection may be idle for so long while this request is answered; 0: for ever. */
  timeout(request: Request, seconds: number): void;
  /**
   * Sends header lines, each with its line end, ahead of the rest of the answer's head. Its status is then 200, whatever
   * becomes of the request.
   */
  beginHead(request: Request, lines: string): void;
  stop(): Promise<void>;
}

export type SocketListenerDeps = Omit<ConnectionDeps, "engine">;

const checkIntervalMs = 1000;

/**
 * HTTP/1.1 over Bun's sockets with llhttp, Node's parser, one for each connection. Why not `Bun.serve`: docs/decisions, 120.
 * Throws what `Bun.listen` throws.
 */
export function createSocketListener(deps: SocketListenerDeps, options: SocketListenerOptions): SocketListener {
  const connections = new Set<Connection>();
  const connectionDeps: ConnectionDeps = { ...deps, engine: new ParserEngine(options) };
  const server = Bun.listen<Connection | null>({
    hostname: options.hostname,
    port: options.port,
    exclusive: true,
    allowHalfOpen: true,
    socket: {
      data: (socket, chunk) => socket.data?.received(chunk),
      open(socket) {
        if (connections.size >= options.connectionsMax) {
          socket.data = null;
          refuse(socket, deps.refuse("too_many_connections"));
          return;
        }
        const connection = new Connection(socket as never, connectionDeps, options);
        socket.data = connection;
        connections.add(connection);
      },
      drain: (socket) => socket.data?.drained(),
      end(socket) {
        if (socket.data) socket.data.ended();
        else socket.end();
      },
      close(socket) {
        if (!socket.data) return;
        connections.delete(socket.data);
        socket.data.closed();
      },
      // What a callback above throws comes here too.
      error(socket, error) {
        deps.onBug(error);
        socket.data?.close();
      },
    },
  });
  const timer = setInterval(() => {
    const nowMs = deps.monotonicNow();
    for (const connection of connections) connection.checkTime(nowMs);
  }, checkIntervalMs);

  return {
    url: new URL(
      `http://${options.hostname.includes(":") ? `[${options.hostname}]` : options.hostname}:${server.port}`,
    ),
    addressOf: (request: unknown) => (request instanceof SocketRequest ? request.connection.remoteAddress : ""),
    timeout(request: unknown, seconds) {
      if (request instanceof SocketRequest) request.connection.setIdleTimeout(seconds);
    },
    beginHead(request: unknown, lines) {
      if (request instanceof SocketRequest) request.connection.beginHead(lines);
    },
    async stop() {
      clearInterval(timer);
      server.stop(false);
      for (const connection of connections) connection.close();
      server.stop(true);
    },
  };
}

function refuse(socket: { write(data: string | Uint8Array): number; end(): void }, response: Response): void {
  const signal = { gone: () => false, abort: () => undefined };
  const options = { keepAlive: false, isHead: false, minorVersion: 1, headBegun: false, signal };
  void Promise.resolve(sendResponse(response, new Outbox(socket), options)).then(() => socket.end());
}
