/**
 * Reads events straight from the bytes of a JSON body into rows, as long as they are everyday ones: known fields, each once,
 * strings without escapes, a device id in ASCII. Whatever else there is, it doubts, and the body is left to `JSON.parse` and the
 * schema, which alone refuse. See event-scanner.ts.
 */
import { count, earliestMs, readEvent, rowsEnd, setBody, startEvents } from "./event";
import { eventsMax, inputAt, outcomeAt, pages, rowsAt } from "./layout";
import { isSpace, setByLine, skipAllSpace } from "./space";
import { metTypes, startTypes, typeCount, typeGeneration } from "./types";

export {
  eventsMax,
  hashesAAt,
  hashesBAt,
  inputAt,
  metTypesAt,
  outcomeAt,
  prefixAt,
  prefixBytesMax,
  rowStartsAt,
  rowsAt,
  secondsAt,
  typeEntriesAt,
  typeEntryBytes,
  typeNameOffset,
  typesAt,
  valuesAt,
  windowBytes,
} from "./layout";

// What `scan` gives back; the same numbers as in event-scanner.ts.
const doubt: i32 = 0;
const end: i32 = 1;
const more: i32 = 2;

// Its flags.
const isFirst: i32 = 1;
const isLast: i32 = 2;
const byLine: i32 = 4;

// The body's form: an event a line; else one event, or a list, bare or under "events".
let isByLine: bool = false;
let isListed: bool = false;
let isWrapped: bool = false;
/** Whether an event has been read. */
let isStarted: bool = false;
/** The body has ended at its right place. */
let isOver: bool = false;

if (memory.size() < pages) memory.grow(pages - memory.size());

export function scan(bytes: i32, flags: i32, nowMs: f64, oldestMs: f64, newestMs: f64, prefixBytes: i32): i32 {
  const inputEnd = inputAt + bytes;
  // Ends every string and every number that the body, or the window, leaves open.
  store<u8>(inputEnd, 0);
  startTypes();
  startEvents();
  isOver = false;
  let at = inputAt;
  if ((flags & isFirst) !== 0) {
    setBody(nowMs, oldestMs, newestMs, prefixBytes);
    at = open((flags & byLine) !== 0);
    if (at === 0) return doubt;
  }
  let status = more;
  while (count < eventsMax) {
    const start = toNext(at, inputEnd);
    const after = start === 0 || isOver ? 0 : readEvent(start);
    if (after === 0) {
      // What does not go on within the window may go on behind it; only at the end of the body is it an answer.
      if ((flags & isLast) !== 0) status = isOver ? end : doubt;
      break;
    }
    isStarted = true;
    at = after;
  }
  tell(at);
  return status;
}

function tell(at: usize): void {
  store<i32>(outcomeAt, count);
  store<i32>(outcomeAt, <i32>(rowsEnd - rowsAt), 4);
  store<i32>(outcomeAt, <i32>(at - inputAt), 8);
  store<i32>(outcomeAt, metTypes, 12);
  store<i32>(outcomeAt, typeCount, 16);
  store<i32>(outcomeAt, typeGeneration, 20);
  store<f64>(outcomeAt, earliestMs, 24);
}

/** Looks at how the body begins. Gives where its first event may be; 0: not a body for this to read. */
function open(lines: bool): usize {
  setByLine(lines);
  isByLine = lines;
  isListed = false;
  isWrapped = false;
  isStarted = false;
  if (lines) return inputAt;
  let at = skipAllSpace(inputAt);
  const first = load<u8>(at);
  if (first === 91) {
    isListed = true;
    return at + 1;
  }
  if (first !== 123) return 0;
  const brace = at;
  at = skipAllSpace(at + 1);
  if (load<u64>(at) !== 0x2273746e65766522) return brace;
  at = skipAllSpace(at + 8);
  if (load<u8>(at) !== 58) return 0;
  at = skipAllSpace(at + 1);
  if (load<u8>(at) !== 91) return 0;
  isListed = true;
  isWrapped = true;
  return at + 1;
}

/** Moves to the next event, or to the end of the body. 0: neither comes. */
function toNext(at: usize, inputEnd: usize): usize {
  if (isByLine) return toNextLine(at, inputEnd);
  if (!isListed) return isStarted ? close(at, inputEnd) : at;
  at = skipAllSpace(at);
  const byte = load<u8>(at);
  if (byte === 93) return close(at + 1, inputEnd);
  if (!isStarted) return at;
  return byte === 44 ? skipAllSpace(at + 1) : 0;
}

function toNextLine(at: usize, inputEnd: usize): usize {
  if (isStarted) {
    // The next event may not follow on the same line.
    while (at < inputEnd && load<u8>(at) !== 10) {
      if (!isSpace(load<u8>(at))) return 0;
      at++;
    }
  }
  at = skipAllSpace(at);
  isOver = at === inputEnd && isStarted;
  return at === inputEnd && !isStarted ? 0 : at;
}

function close(at: usize, inputEnd: usize): usize {
  at = skipAllSpace(at);
  if (isWrapped) {
    if (load<u8>(at) !== 125) return 0;
    at = skipAllSpace(at + 1);
  }
  isOver = at === inputEnd;
  return isOver ? at : 0;
}
