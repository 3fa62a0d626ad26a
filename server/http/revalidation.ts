/**
 * 304 to who has the answer already. Tags are made weak: compressed or not, an answer has one tag, and what proxies compress
 * keeps it. The static plugin's own tags are bare Base64, which is no entity tag: nobody would send one back that it knows.
 */
export function revalidated(request: Request, response: Response): Response {
  const given = response.headers.get("etag");
  if (given === null) return response;
  const opaque = opaqueTag(given);
  const etag = `W/${opaque}`;
  const known = request.headers.get("if-none-match");
  const isKnown = known !== null && (known.trim() === "*" || known.split(",").some((tag) => opaqueTag(tag) === opaque));
  if (response.status !== 200 || !isKnown) {
    response.headers.set("ETag", etag);
    return response;
  }
  const headers = new Headers({ ETag: etag });
  const cacheControl = response.headers.get("cache-control");
  if (cacheControl !== null) headers.set("Cache-Control", cacheControl);
  return new Response(null, { status: 304, headers });
}

/** In quotes, without the mark of a weak one: all that a comparison for If-None-Match looks at. */
function opaqueTag(tag: string): string {
  const opaque = tag.trim().replace(/^W\//, "");
  return opaque.startsWith('"') ? opaque : `"${opaque}"`;
}
