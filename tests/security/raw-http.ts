import { connect } from "node:net";

export interface RawAnswer {
  /** 0: the connection was closed without an answer. */
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/**
 * Sends bytes that no HTTP client would, and gives the first answer. `pieces` are written one by one, `everyMs` apart. Resolves
 * when the server closes, or once an answer is whole.
 */
export function sendRaw(url: string, pieces: readonly (string | Uint8Array)[], everyMs = 0): Promise<RawAnswer> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    let got = "";
    let next = 0;
    const timer = everyMs === 0 ? undefined : setInterval(writeNext, everyMs);
    function writeNext(): void {
      const piece = pieces[next++];
      if (piece === undefined) clearInterval(timer);
      else if (!socket.destroyed) socket.write(piece);
    }
    function finish(): void {
      clearInterval(timer);
      socket.destroy();
      const [head = "", body = ""] = got.split(/\r\n\r\n([\s\S]*)/, 2);
      resolve({ status: Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0), head, body });
    }
    socket.on("connect", () => {
      if (timer === undefined) while (next < pieces.length) writeNext();
      else writeNext();
    });
    socket.on("data", (chunk) => {
      got += chunk.toString("latin1");
      const end = got.indexOf("\r\n\r\n");
      const length = /^content-length: (\d+)/im.exec(got)?.[1];
      if (end !== -1 && length !== undefined && got.length >= end + 4 + Number(length)) finish();
    });
    socket.on("error", finish);
    socket.on("close", finish);
  });
}
