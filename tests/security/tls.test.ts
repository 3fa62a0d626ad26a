import { afterAll, beforeAll, expect, test } from "bun:test";
import { copyFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { findFreePort } from "../../base/free-port.ts";
import type { Listener } from "../../server/http/handler.ts";
import { createListener } from "../../server/http/listener.ts";
import { until } from "../../testing/test-service.ts";

const noOpenssl = Bun.which("openssl") === null;
const root = join(import.meta.dir, "../..");

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "sluice-tls-"));
  if (noOpenssl) return;
  for (const name of ["one", "two"]) {
    const made = Bun.spawnSync(
      [
        ...[
          "openssl",
          "req",
          "-x509",
          "-newkey",
          "ec",
          "-pkeyopt",
          "ec_paramgen_curve:prime256v1",
          "-nodes",
          "-days",
          "2",
        ],
        ...["-subj", `/CN=${name}`, "-addext", "subjectAltName=IP:127.0.0.1"],
        ...["-keyout", `${name}.key`, "-out", `${name}.crt`],
      ],
      { cwd: directory },
    );
    if (made.exitCode !== 0) throw new Error(made.stderr.toString());
  }
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** The name on the certificate that a new connection gets. */
function subject(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false }, () => {
      const { CN } = socket.getPeerCertificate().subject;
      socket.destroy();
      resolve(String(CN));
    });
    socket.on("error", reject);
  });
}

interface Answer {
  status: number;
  headers: Record<string, unknown>;
  body: string;
}

/** One request over HTTP/2; with `untilText`, gives up the stream once that has come. */
function request(
  port: number,
  headers: Record<string, string>,
  options: { body?: string; untilText?: string } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const session = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
    session.on("error", reject);
    const stream = session.request(headers);
    const answer: Answer = { status: 0, headers: {}, body: "" };
    const finish = (): void => {
      session.destroy();
      resolve(answer);
    };
    stream.on("response", (got) => {
      answer.status = Number(got[":status"]);
      answer.headers = got;
    });
    stream.on("data", (chunk: Buffer) => {
      answer.body += chunk.toString();
      if (options.untilText !== undefined && answer.body.includes(options.untilText)) finish();
    });
    stream.on("end", finish);
    stream.on("error", reject);
    stream.end(options.body);
  });
}

test.skipIf(noOpenssl)(
  "over TLS: HTTP/2 for ingest, stream and pages, HTTP/1.1 too; HSTS; cookies for TLS alone; reload on SIGHUP",
  async () => {
    const port = findFreePort();
    const cert = join(directory, "live.crt");
    const key = join(directory, "live.key");
    copyFileSync(join(directory, "one.crt"), cert);
    copyFileSync(join(directory, "one.key"), key);
    const child = Bun.spawn([process.execPath, "server/main.ts"], {
      cwd: root,
      env: {
        PATH: process.env.PATH ?? "",
        PORT: String(port),
        EMBEDDED_CLICKHOUSE_PORT: String(findFreePort()),
        DATA_DIR: join(directory, "data"),
        TLS_CERT: cert,
        TLS_KEY: key,
        INGEST_KEYS: "fleet:ingest-secret-0123456789",
        VIEWER_KEYS: "ops:viewer-secret-0123456789",
        LOG_FORMAT: "json",
      },
      stdout: "ignore",
      stderr: "ignore",
    });
    try {
      const showsName = async (name: string): Promise<boolean> => {
        try {
          return (await subject(port)) === name;
        } catch (error) {
          // Not listening yet; or it was shaking hands with the server that gave way.
          if (error instanceof Error) return false;
          throw error;
        }
      };
      await until("the service over TLS", () => showsName("one"));
      const posted = await request(
        port,
        {
          ":method": "POST",
          ":path": "/ingest",
          "content-type": "application/json",
          authorization: "Bearer ingest-secret-0123456789",
        },
        { body: JSON.stringify({ device_id: "a", event_type: "over-tls", value_float: 1 }) },
      );
      expect([posted.status, posted.body]).toEqual([202, '{"status":"queued","event_count":1}']);

      const signedIn = await request(
        port,
        { ":method": "POST", ":path": "/api/session", "content-type": "application/json", "content-length": "36" },
        { body: '{"key":"viewer-secret-0123456789"}  ' },
      );
      expect(signedIn.status).toBe(200);
      const [cookie] = signedIn.headers["set-cookie"] as string[];
      expect(cookie).toMatch(/^__Host-sluice=.*; Secure$/);

      const streamed = await request(
        port,
        { ":path": "/dashboard-stream", cookie: (cookie as string).split(";")[0] as string },
        { untilText: "over-tls" },
      );
      expect(streamed.status).toBe(200);
      expect(streamed.headers["content-type"]).toStartWith("text/event-stream");

      const page = await request(port, { ":path": "/" });
      expect(page.status).toBe(200);
      expect(page.headers["strict-transport-security"]).toBe("max-age=63072000");
      const old = await fetch(`https://127.0.0.1:${port}/healthz`, { tls: { rejectUnauthorized: false } });
      expect(old.status).toBe(200);

      copyFileSync(join(directory, "two.crt"), `${cert}.new`);
      copyFileSync(join(directory, "two.key"), `${key}.new`);
      renameSync(`${cert}.new`, cert);
      renameSync(`${key}.new`, key);
      child.kill("SIGHUP");
      await until("the new certificate", () => showsName("two"));
      expect((await request(port, { ":path": "/healthz" })).status).toBe(200);
    } finally {
      child.kill("SIGTERM");
      expect(await child.exited).toBe(0);
    }
  },
);

test.skipIf(noOpenssl)(
  "a stream goes on while the certificate changes; a certificate that cannot be used changes nothing",
  async () => {
    const tls = { certFile: join(directory, "swap.crt"), keyFile: join(directory, "swap.key") };
    copyFileSync(join(directory, "one.crt"), tls.certFile);
    copyFileSync(join(directory, "one.key"), tls.keyFile);
    const logged: string[] = [];
    const encoder = new TextEncoder();
    let send: (text: string) => void = () => undefined;
    const listener: Listener = createListener(
      { log: (level, message) => logged.push(`${level} ${message}`) },
      {
        hostname: "127.0.0.1",
        port: 0,
        tls,
        idleTimeoutSeconds: 10,
        maxRequestBodySize: 1024,
        connectionsMax: 10,
        fetch: () =>
          new Response(
            new ReadableStream({
              start(controller) {
                send = (text) => controller.enqueue(encoder.encode(text));
                send("open\n");
              },
            }),
          ),
        error: () => new Response("failed", { status: 500 }),
      },
    );
    try {
      const port = Number(listener.url.port);
      const response = await fetch(listener.url, { tls: { rejectUnauthorized: false } });
      const reader = response.body?.getReader();
      const decoder = new TextDecoder();
      const next = async (): Promise<string> => decoder.decode((await reader?.read())?.value);
      expect(await next()).toBe("open\n");

      writeFileSync(tls.certFile, "no certificate");
      listener.reload();
      expect(await subject(port)).toBe("one");
      copyFileSync(join(directory, "two.crt"), tls.certFile);
      listener.reload();
      expect(logged.filter((line) => line.startsWith("error"))).toHaveLength(2);
      expect(await subject(port)).toBe("one");
      copyFileSync(join(directory, "two.key"), tls.keyFile);
      listener.reload();
      expect(await subject(port)).toBe("two");

      send("still open\n");
      expect(await next()).toBe("still open\n");
      await reader?.cancel();
    } finally {
      await listener.stop();
    }
  },
);
