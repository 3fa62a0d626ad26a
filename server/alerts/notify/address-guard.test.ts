import { expect, test } from "bun:test";
import { isPublicAddress } from "./address-guard.ts";
import { createPost } from "./http-post.ts";

test.each([
  "127.0.0.1",
  "10.1.2.3",
  "172.31.255.255",
  "192.168.0.1",
  "169.254.169.254",
  "100.64.0.1",
  "0.0.0.0",
  "224.0.0.1",
  "255.255.255.255",
  "::",
  "::1",
  "::ffff:127.0.0.1",
  "::ffff:7f00:1",
  "::ffff:10.0.0.1",
  "::127.0.0.1",
  "64:ff9b::7f00:1",
  "2002:7f00:1::",
  "fe80::1",
  "fe80::1%eth0",
  "fd00::1",
  "ff02::1",
  "2001:db8::1",
  "not an address",
])("%s is nobody's business", (address) => {
  expect(isPublicAddress(address)).toBe(false);
});

test.each(["8.8.8.8", "172.32.0.1", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])(
  "%s is public",
  (address) => {
    expect(isPublicAddress(address)).toBe(true);
  },
);

test("a name that leads to this machine is refused before anything is connected", async () => {
  let connections = 0;
  const server = Bun.serve({
    port: 0,
    fetch: () => {
      connections++;
      return new Response();
    },
  });
  const post = createPost({ allowPrivate: false, timeoutMs: 2_000 });
  for (const host of ["localhost", "127.0.0.1", "[::1]", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]"]) {
    const result = await post({ url: `http://${host}:${server.port}/`, headers: {}, body: "{}" });
    expect(result).toMatchObject({ ok: false });
  }
  expect(connections).toBe(0);
  const allowed = createPost({ allowPrivate: true, timeoutMs: 2_000 });
  expect(await allowed({ url: `http://127.0.0.1:${server.port}/`, headers: {}, body: "{}" })).toMatchObject({
    ok: true,
    status: 200,
  });
  await server.stop(true);
});

test("no redirect is followed, and a receiver that says nothing is left after the timeout", async () => {
  const paths: string[] = [];
  const server = Bun.serve({
    port: 0,
    fetch(request) {
      const { pathname } = new URL(request.url);
      paths.push(pathname);
      if (pathname === "/slow") return new Promise<Response>(() => undefined);
      return new Response(null, { status: 302, headers: { Location: "/target" } });
    },
  });
  const post = createPost({ allowPrivate: true, timeoutMs: 300 });
  expect(await post({ url: `http://127.0.0.1:${server.port}/a`, headers: {}, body: "" })).toMatchObject({
    status: 302,
  });
  expect(await post({ url: `http://127.0.0.1:${server.port}/slow`, headers: {}, body: "" })).toMatchObject({
    ok: false,
    message: "no response within 0.3 s",
  });
  expect(paths).toEqual(["/a", "/slow"]);
  await server.stop(true);
});
