import { describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigError } from "../config/config-error.ts";
import { createListener, type ListenerOptions } from "./listener.ts";

const answer = () => new Response("ok");
const options: ListenerOptions = {
  hostname: "127.0.0.1",
  port: 0,
  tls: null,
  idleTimeoutSeconds: 10,
  maxRequestBodySize: 1024,
  connectionsMax: 10,
  fetch: answer,
  error: answer,
};
const listen = (more: Partial<ListenerOptions> = {}) =>
  createListener({ log: () => undefined }, { ...options, ...more });

describe("listening", () => {
  test("a port that is taken is refused by name, never shared", async () => {
    const first = listen();
    const port = Number(first.url.port);
    try {
      expect(() => listen({ port })).toThrow(
        new ConfigError(`PORT=${port}: taken by another program; use a free port`),
      );
    } finally {
      await first.stop();
    }
  });

  test("an address of another machine is refused by name", () => {
    expect(() => listen({ hostname: "192.0.2.7" })).toThrow(
      new ConfigError("HOST=192.0.2.7: not allowed; use an address of this machine"),
    );
  });

  test.skipIf(Bun.which("openssl") === null)(
    "with a certificate the port is not shared with another service either",
    async () => {
      const directory = mkdtempSync(join(tmpdir(), "sluice-listener-"));
      const tls = { certFile: join(directory, "cert.pem"), keyFile: join(directory, "key.pem") };
      const newCertificate = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
      const files = ["-keyout", tls.keyFile, "-out", tls.certFile];
      const made = spawnSync("openssl", [...newCertificate, "-days", "2", "-subj", "/CN=localhost", ...files]);
      expect(made.status).toBe(0);
      const first = listen({ tls });
      try {
        expect(() => listen({ tls, port: Number(first.url.port) })).toThrow(ConfigError);
        const response = await fetch(first.url, { tls: { rejectUnauthorized: false } });
        expect(await response.text()).toBe("ok");
      } finally {
        await first.stop();
        rmSync(directory, { recursive: true });
      }
    },
  );
});
