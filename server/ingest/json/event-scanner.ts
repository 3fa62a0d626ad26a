import { loadAssembly } from "../../../base/wasm/load.ts";
import type { ScannedEvents } from "../scanned-events.ts";

/**
 * `doubt`: not for certain good events in a good body; `JSON.parse` and the schema will tell. Else there are events to be taken:
 * `more` follow, or the body ends.
 */
export type Step = "doubt" | "end" | "more";

/** In the order of the numbers that the module gives back. */
const steps: readonly Step[] = ["doubt", "end", "more"];
const flag = { first: 1, last: 2, ndjson: 4 } as const;
/** Places in the module's report of a call, in words of four bytes. */
const outcome = { count: 0, rowBytes: 1, consumed: 2, metTypes: 3, typeGeneration: 5 } as const;
const earliestOffset = 24;

/** A number that AssemblyScript exports is an object of this kind. */
type Place = WebAssembly.Global<"i32">;
interface Module {
  scan(bytes: number, flags: number, nowMs: number, oldestMs: number, newestMs: number, prefixBytes: number): number;
  readonly windowBytes: Place;
  readonly eventsMax: Place;
  readonly inputAt: Place;
  readonly rowsAt: Place;
  readonly prefixAt: Place;
  readonly prefixBytesMax: Place;
  readonly typesAt: Place;
  readonly secondsAt: Place;
  readonly hashesAAt: Place;
  readonly hashesBAt: Place;
  readonly rowStartsAt: Place;
  readonly valuesAt: Place;
  readonly metTypesAt: Place;
  readonly typeEntriesAt: Place;
  readonly typeEntryBytes: Place;
  readonly typeNameOffset: Place;
  readonly outcomeAt: Place;
}

/** What decides whether an event is good, beside its own bytes. */
export interface Circumstances {
  readonly nowMs: number;
  /** Bounds of an event's own time. */
  readonly oldestMs: number;
  readonly newestMs: number;
  /** What the id of every device has to begin with. */
  readonly devicePrefix: string | null;
}

/**
 * Reads events straight from a body's bytes into rows, in WebAssembly (`assembly/`), as long as they are everyday ones: known
 * fields, each once, strings without escapes, a device id in ASCII. At anything else it says `doubt`, and the caller begins again
 * with `JSON.parse` and the schema, which alone refuse. What it takes, they take, with the same meaning: event-scanner.test.ts
 * compares the two on anything. Its memory, 1.6 MB, is fixed: longer bodies are read in several steps.
 *
 * @example
 * scanner.open(body, false, circumstances);
 * let step = scanner.next();
 * while (step === "more") { take(scanner); step = scanner.next(); }
 * if (step === "end") take(scanner);
 */
export class EventScanner implements ScannedEvents {
  /** How much of a body one step looks at. Never more than it is at first: the module has no room. */
  windowBytes: number;
  count = 0;
  rowsLength = 0;
  metTypeCount = 0;
  readonly memory: Uint8Array<ArrayBuffer>;
  readonly rowsStart: number;
  readonly rowStarts: Uint32Array;
  readonly types: Int32Array;
  readonly seconds: Int32Array;
  readonly hashesA: Uint32Array;
  readonly hashesB: Uint32Array;
  readonly values: Float64Array;
  readonly metTypes: Int32Array;
  readonly #scan: Module["scan"];
  readonly #inputAt: number;
  readonly #prefix: Uint8Array;
  readonly #typeEntriesAt: number;
  readonly #typeEntryBytes: number;
  readonly #typeNameOffset: number;
  readonly #outcome: Int32Array;
  readonly #earliest: Float64Array;
  #names: string[] = [];
  #typeGeneration = 0;
  #body: Uint8Array = new Uint8Array(0);
  #at = 0;
  #flags = 0;
  #circumstances: Circumstances = { nowMs: 0, oldestMs: 0, newestMs: 0, devicePrefix: null };
  #devicePrefix: string | null = null;
  #prefixBytes = 0;

  constructor() {
    const module = loadAssembly<Module>(new URL("./assembly/index.wasm", import.meta.url), {
      parseNumber: (start, end) => Number(this.#latin1(start as number, end as number)),
    });
    const { buffer } = module.memory;
    const eventsMax = module.eventsMax.value;
    this.memory = new Uint8Array(buffer);
    this.rowsStart = module.rowsAt.value;
    this.rowStarts = new Uint32Array(buffer, module.rowStartsAt.value, eventsMax);
    this.types = new Int32Array(buffer, module.typesAt.value, eventsMax);
    this.seconds = new Int32Array(buffer, module.secondsAt.value, eventsMax);
    this.hashesA = new Uint32Array(buffer, module.hashesAAt.value, eventsMax);
    this.hashesB = new Uint32Array(buffer, module.hashesBAt.value, eventsMax);
    this.values = new Float64Array(buffer, module.valuesAt.value, eventsMax);
    this.metTypes = new Int32Array(buffer, module.metTypesAt.value, eventsMax);
    this.#scan = module.scan;
    this.windowBytes = module.windowBytes.value;
    this.#inputAt = module.inputAt.value;
    this.#prefix = new Uint8Array(buffer, module.prefixAt.value, module.prefixBytesMax.value);
    this.#typeEntriesAt = module.typeEntriesAt.value;
    this.#typeEntryBytes = module.typeEntryBytes.value;
    this.#typeNameOffset = module.typeNameOffset.value;
    this.#outcome = new Int32Array(buffer, module.outcomeAt.value, 6);
    this.#earliest = new Float64Array(buffer, module.outcomeAt.value + earliestOffset, 1);
  }

  /** `body` is UTF-8. */
  open(body: Uint8Array, ndjson: boolean, circumstances: Circumstances): void {
    this.#body = body;
    this.#at = 0;
    this.#flags = flag.first | (ndjson ? flag.ndjson : 0);
    this.#circumstances = circumstances;
    if (circumstances.devicePrefix !== this.#devicePrefix) this.#setPrefix(circumstances.devicePrefix);
  }

  /** Reads on. What was read before is gone. */
  next(): Step {
    const { nowMs, oldestMs, newestMs } = this.#circumstances;
    const rest = this.#body.length - this.#at;
    const bytes = Math.min(rest, this.windowBytes);
    this.memory.set(
      bytes === this.#body.length ? this.#body : this.#body.subarray(this.#at, this.#at + bytes),
      this.#inputAt,
    );
    const flags = this.#flags | (bytes === rest ? flag.last : 0);
    const step = steps[this.#scan(bytes, flags, nowMs, oldestMs, newestMs, this.#prefixBytes)] as Step;
    if (step === "doubt") return step;
    const told = this.#outcome;
    const consumed = told[outcome.consumed] as number;
    this.count = told[outcome.count] as number;
    // An event that does not fit into the window whole.
    if (step === "more" && this.count === 0) return "doubt";
    this.#at += consumed;
    this.#flags &= ~flag.first;
    this.rowsLength = told[outcome.rowBytes] as number;
    this.metTypeCount = told[outcome.metTypes] as number;
    if (told[outcome.typeGeneration] !== this.#typeGeneration) {
      this.#typeGeneration = told[outcome.typeGeneration] as number;
      this.#names = [];
    }
    return step;
  }

  get earliestMs(): number {
    return this.#earliest[0] as number;
  }

  typeName(type: number): string {
    const known = this.#names[type];
    if (known !== undefined) return known;
    const entry = this.#typeEntriesAt + type * this.#typeEntryBytes;
    const length = this.memory[entry] as number;
    const start = entry + this.#typeNameOffset;
    const name = Buffer.from(this.memory.buffer, start, length).toString("utf8");
    this.#names[type] = name;
    return name;
  }

  #setPrefix(prefix: string | null): void {
    this.#devicePrefix = prefix;
    const bytes = prefix === null ? "" : Buffer.from(prefix);
    // A longer one than any device's id is met by none, and so is its beginning when it is that long.
    this.#prefixBytes = Math.min(bytes.length, this.#prefix.length);
    if (bytes !== "") this.#prefix.set(bytes.subarray(0, this.#prefixBytes));
  }

  #latin1(start: number, end: number): string {
    return Buffer.from(this.memory.buffer, start, end - start).toString("latin1");
  }
}
