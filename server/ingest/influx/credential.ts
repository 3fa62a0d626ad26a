import { presentedKey } from "../../access/access.ts";

/** The key as Influx clients send it: `Token`, `Bearer`, the password of `Basic`, or the parameter `p`. */
export function influxCredential(request: Request): string | null {
  const authorization = request.headers.get("authorization");
  const [, scheme = "", credential = ""] = authorization?.match(/^(\w+) +(.*)$/) ?? [];
  switch (scheme.toLowerCase()) {
    case "token":
      return credential;
    case "basic": {
      const pair = Buffer.from(credential, "base64").toString();
      return pair.slice(pair.indexOf(":") + 1) || null;
    }
    default:
      return presentedKey(request.headers) ?? (new URL(request.url).searchParams.get("p") || null);
  }
}
