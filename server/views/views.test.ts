import { describe, expect, test } from "bun:test";
import { openStore } from "../store/store.ts";
import { createLinkToken, readLinkToken } from "./link-token.ts";
import { isShared, requestFault } from "./shared-request.ts";
import { createViewStore, viewMigrations } from "./view-store.ts";

const secret = crypto.getRandomValues(new Uint8Array(32));
const claim = { id: "0f8fad5b-d9cb-469f-a165-70867728950e", expiresMs: 2_000_000 };

describe("a link's token", () => {
  test("says which link and until when, to those who have the secret", () => {
    const token = createLinkToken(claim, secret);
    expect(token).toHaveLength(51);
    expect(readLinkToken(token, secret, 1_999_999)).toEqual(claim);
    expect(readLinkToken(token, secret, 2_000_000)).toBeNull();
    expect(readLinkToken(token, new Uint8Array(32), 0)).toBeNull();
  });

  test("is nothing with any character changed, cut off, or added", () => {
    const token = createLinkToken(claim, secret);
    for (let at = 0; at < token.length; at++) {
      for (const other of ["A", "z", "-"]) {
        const changed = token.slice(0, at) + other + token.slice(at + 1);
        if (changed !== token) expect(readLinkToken(changed, secret, 0)).toBeNull();
      }
      expect(readLinkToken(token.slice(0, at), secret, 0)).toBeNull();
    }
    for (const other of [`${token}A`, `${token}=`, "", "x".repeat(51), "💥".repeat(13)]) {
      expect(readLinkToken(other, secret, 0)).toBeNull();
    }
  });
});

describe("what a shared view may ask for", () => {
  const requests = [
    "/api/history?event_type=a&event_type=b&split=meta.site",
    "/api/devices/a%2Fb",
    "/dashboard-stream?limit=5",
  ];

  test("is what it names, whatever the time, the step and the order", () => {
    for (const asked of [
      "/api/history?event_type=a&event_type=b&split=meta.site",
      "/api/history?split=meta.site&event_type=b&event_type=a&from=1&to=2&step=60&limit=5&cursor=x",
      "/api/devices/a%2Fb",
      "/dashboard-stream?limit=50",
    ]) {
      expect([asked, isShared(asked, requests)]).toEqual([asked, true]);
    }
  });

  test("is nothing else", () => {
    for (const asked of [
      "/api/history?event_type=a&split=meta.site",
      "/api/history?event_type=a&event_type=b&split=meta.site&device_id=x",
      "/api/history?event_type=a&event_type=b&event_type=b&split=meta.site",
      "/api/history?event_type=a&event_type=b&split=meta.firmware",
      "/api/history",
      "/api/devices",
      "/api/devices/a/b",
      "/api/devices/a%2Fb?x=1",
      "/dashboard-stream?limit=5&device=x",
      "//elsewhere/api/history",
      "/api/views",
      "/api/sql",
      "/api/history/",
      "",
    ]) {
      expect([asked, isShared(asked, requests)]).toEqual([asked, false]);
    }
  });

  test("cannot be anything but a reading route of one's own", () => {
    for (const request of [
      "https://elsewhere/api/history",
      "//elsewhere/api/history",
      "/api/views",
      "/api/sql",
      "/metrics",
      "/api/session",
      "/api/history/../views",
    ]) {
      expect([request, requestFault(request) !== null]).toEqual([request, true]);
    }
    for (const request of [
      ...requests,
      "/api/facets",
      "/api/changes?fold=1",
      "/api/event-types",
      "/api/events?device_id=x",
    ]) {
      expect([request, requestFault(request)]).toEqual([request, null]);
    }
  });
});

describe("the store of views", () => {
  const body = { name: "a", path: "/", requests: ["/api/history"] };

  test("has as many views, and links of one, as it may have", () => {
    const store = openStore(":memory:", [viewMigrations]);
    let nowMs = 1_000;
    const views = createViewStore({ store, now: () => nowMs });
    const [first] = Array.from({ length: 1_000 }, () => views.create(body, "ed"));
    expect(views.create(body, "ed")).toBeNull();
    const id = first?.id ?? "";
    for (let link = 0; link < 50; link++)
      expect(views.createLink(id, 500, "ed")).toMatchObject({ expires_at: expect.any(String) });
    expect(views.createLink(id, 500, "ed")).toBe("full");
    nowMs += 500;
    expect(views.find(id, true)?.links).toEqual([]);
    expect(views.createLink(id, 500, "ed")).not.toBe("full");
    expect(views.createLink("nobody", 500, "ed")).toBe("no_view");
    store.close();
  });
});
