/** One reading of a device. */
export interface DeviceEvent {
  readonly event_type: string;
  readonly value_float?: number | null | undefined;
  readonly value_string?: string | null | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** A `Date`, an ISO 8601 text or epoch milliseconds. Default: the time of `send`. */
  readonly timestamp?: Date | string | number | undefined;
  /** For a gateway that speaks for other devices. Default: the device's own id. */
  readonly device_id?: string | undefined;
}

const deviceIdCharacters = 256;
const eventTypeCharacters = 128;
const valueStringBytes = 64 * 1024;
const metadataKeys = 64;
const fields = new Set(["event_type", "value_float", "value_string", "metadata", "timestamp", "device_id"]);
const utf8 = new TextEncoder();

/** The event as the service takes it, in JSON. Throws a `TypeError` that names the first wrong field. */
export function encodeEvent(event: DeviceEvent, deviceId: string, nowMs: number): string {
  if (typeof event !== "object" || event === null) throw new TypeError("event must be an object");
  for (const name of Object.keys(event))
    if (!fields.has(name)) throw new TypeError(`${name} is not a field of an event`);
  const { value_float, value_string, metadata } = event;
  if (value_float !== undefined && value_float !== null && !Number.isFinite(value_float)) {
    throw new TypeError("value_float must be a finite number or null");
  }
  if (value_string !== undefined && value_string !== null) {
    checkText("value_string", value_string, 0, valueStringBytes);
    if (utf8.encode(value_string).length > valueStringBytes) {
      throw new TypeError(`value_string must be at most ${valueStringBytes} bytes of UTF-8`);
    }
  }
  if (metadata !== undefined) checkMetadata(metadata);
  return JSON.stringify({
    device_id: checkDeviceId(event.device_id ?? deviceId),
    event_type: checkText("event_type", event.event_type, 1, eventTypeCharacters),
    value_float,
    value_string,
    metadata,
    timestamp: timestampOf(event.timestamp, nowMs),
  });
}

export function checkDeviceId(deviceId: unknown): string {
  return checkText("device_id", deviceId, 1, deviceIdCharacters);
}

/** Characters are code points, as the service counts them. */
function checkText(name: string, text: unknown, min: number, max: number): string {
  const fits = typeof text === "string" && text.length >= min && (text.length <= max || [...text].length <= max);
  if (!fits) throw new TypeError(`${name} must be a string of ${min} to ${max} characters`);
  // UTF-8 cannot carry half of a surrogate pair: the service would refuse it.
  if (/\p{Surrogate}/u.test(text)) throw new TypeError(`${name} must not contain a lone surrogate`);
  return text;
}

function checkMetadata(metadata: unknown): void {
  if (typeof metadata !== "object" || metadata === null || Array.isArray(metadata)) {
    throw new TypeError("metadata must be an object of strings");
  }
  const entries = Object.entries(metadata);
  if (entries.length > metadataKeys) throw new TypeError(`metadata must have at most ${metadataKeys} keys`);
  for (const [key, value] of entries) {
    checkText("a key of metadata", key, 0, Number.POSITIVE_INFINITY);
    checkText(`metadata.${key}`, value, 0, Number.POSITIVE_INFINITY);
  }
}

function timestampOf(timestamp: DeviceEvent["timestamp"], nowMs: number): string | number {
  if (timestamp === undefined) return Math.floor(nowMs);
  const value = timestamp instanceof Date ? timestamp.getTime() : timestamp;
  const known = typeof value === "string" ? !Number.isNaN(Date.parse(value)) : Number.isSafeInteger(value);
  if (!known) throw new TypeError("timestamp must be a Date, an ISO 8601 string or whole epoch milliseconds");
  return value;
}
