import { createHmac, timingSafeEqual } from "node:crypto";

export interface LinkClaim {
  /** A UUID. */
  readonly id: string;
  /** Epoch milliseconds. */
  readonly expiresMs: number;
}

const idBytes = 16;
const expiresBytes = 6;
const claimBytes = idBytes + expiresBytes;
const signatureBytes = 16;

const sign = (claim: Uint8Array, secret: Uint8Array): Uint8Array =>
  createHmac("sha256", secret).update("sluice link\0").update(claim).digest().subarray(0, signatureBytes);

/** Which link, until when, and that it was made here: 51 characters that a URL can hold. */
export function createLinkToken({ id, expiresMs }: LinkClaim, secret: Uint8Array): string {
  const claim = Buffer.alloc(claimBytes);
  claim.write(id.replaceAll("-", ""), "hex");
  claim.writeUIntBE(expiresMs, idBytes, expiresBytes);
  return Buffer.concat([claim, sign(claim, secret)]).toString("base64url");
}

/** Null: it was not made here, it has been changed, or its time is over. Looks nothing up. */
export function readLinkToken(token: string, secret: Uint8Array, nowMs: number): LinkClaim | null {
  if (!/^[\w-]{51}$/.test(token)) return null;
  const bytes = Buffer.from(token, "base64url");
  // Of the last character two bits say nothing: one spelling is enough.
  if (bytes.length !== claimBytes + signatureBytes || bytes.toString("base64url") !== token) return null;
  const claim = bytes.subarray(0, claimBytes);
  if (!timingSafeEqual(bytes.subarray(claimBytes), sign(claim, secret))) return null;
  const expiresMs = claim.readUIntBE(idBytes, expiresBytes);
  if (expiresMs <= nowMs) return null;
  const hex = claim.toString("hex", 0, idBytes);
  const id = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
  return { id, expiresMs };
}
