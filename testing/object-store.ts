/** An object store in memory: as much of S3's protocol as Bun's client speaks. Backups were also tried with s3rver 3.7.1, by hand. */
export interface ObjectStore {
  readonly url: string;
  readonly objects: ReadonlyMap<string, Uint8Array>;
  /** Keys of whole objects, in the order in which they came. */
  readonly puts: readonly string[];
  /** Changes or removes an object. */
  set(key: string, body: Uint8Array | undefined): void;
  stop(): Promise<void>;
}

const listMax = 3;
const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

export function startObjectStore(bucket: string, accessKeyId: string): ObjectStore {
  const objects = new Map<string, Uint8Array>();
  const puts: string[] = [];
  const uploads = new Map<string, Uint8Array[]>();

  function put(key: string, body: Uint8Array): Response {
    objects.set(key, body);
    puts.push(key);
    return new Response(null, { headers: { ETag: `"${Bun.hash(body).toString(16)}"` } });
  }

  /** Pages are small, so that a listing of a backup takes several. */
  function list(query: URLSearchParams): Response {
    const [prefix, after] = [query.get("prefix") ?? "", query.get("start-after") ?? ""];
    const keys = [...objects.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
    const contents = keys
      .slice(0, listMax)
      .map((key) => `<Contents><Key>${escaped(key)}</Key><Size>${objects.get(key)?.length}</Size></Contents>`);
    const isTruncated = keys.length > listMax;
    return xml(`<ListBucketResult><IsTruncated>${isTruncated}</IsTruncated>${contents.join("")}</ListBucketResult>`);
  }

  async function upload(method: string, key: string, query: URLSearchParams, body: Uint8Array): Promise<Response> {
    const id = query.get("uploadId") ?? crypto.randomUUID();
    const parts = uploads.get(id) ?? [];
    uploads.set(id, parts);
    if (query.has("uploads")) {
      return xml(`<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`);
    }
    if (method === "PUT") {
      parts[Number(query.get("partNumber")) - 1] = body;
      return new Response(null, { headers: { ETag: `"${query.get("partNumber")}"` } });
    }
    uploads.delete(id);
    if (method === "POST") put(key, new Uint8Array(Buffer.concat(parts)));
    return xml("<CompleteMultipartUploadResult><ETag>whole</ETag></CompleteMultipartUploadResult>");
  }

  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const { pathname, searchParams } = new URL(request.url);
      if (!request.headers.get("authorization")?.includes(`Credential=${accessKeyId}/`)) {
        return xml("<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>", 403);
      }
      const [, name, ...rest] = pathname.split("/").map(decodeURIComponent);
      const key = rest.join("/");
      if (name !== bucket) return xml("<Error><Code>NoSuchBucket</Code><Message>No such bucket</Message></Error>", 404);
      const body = new Uint8Array(await request.arrayBuffer());
      if (searchParams.has("list-type")) return list(searchParams);
      if (searchParams.has("uploads") || searchParams.has("uploadId")) {
        return upload(request.method, key, searchParams, body);
      }
      if (request.method === "PUT") return put(key, body);
      const object = objects.get(key);
      if (object === undefined) return xml("<Error><Code>NoSuchKey</Code><Message>No such key</Message></Error>", 404);
      return new Response(request.method === "HEAD" ? null : new Uint8Array(object), {
        headers: { "Content-Length": String(object.length) },
      });
    },
  });

  return {
    url: `http://127.0.0.1:${server.port}`,
    objects,
    puts,
    set(key, body) {
      if (body === undefined) objects.delete(key);
      else objects.set(key, body);
    },
    stop: () => server.stop(true),
  };
}

const xml = (body: string, status = 200): Response =>
  new Response(`<?xml version="1.0" encoding="UTF-8"?>${body}`, {
    status,
    headers: { "Content-Type": "application/xml" },
  });
