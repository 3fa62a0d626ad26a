import {
  eventsMax,
  metTypesAt,
  typeEntriesAt,
  typeEntryBytes,
  typeNameOffset,
  typeSlots,
  typeSlotsAt,
  typesMax,
} from "./layout";
import { firstBytes } from "./text";

/** Numbers are given out in order of appearance, until all is forgotten. */
export let typeCount: i32 = 0;
/** Grows whenever all is forgotten: numbers of another generation mean nothing. */
export let typeGeneration: i32 = 0;
/** Types that the present call has met. */
export let metTypes: i32 = 0;
let call: u32 = 0;

/** Before the first event of a call, when numbers given out earlier are not needed any more. */
export function startTypes(): void {
  call++;
  metTypes = 0;
  if (typeCount <= typesMax - eventsMax) return;
  typeCount = 0;
  typeGeneration++;
  memory.fill(typeSlotsAt, 0, 4 * <usize>typeSlots);
}

function entryOf(type: i32): usize {
  return typeEntriesAt + <usize>type * typeEntryBytes;
}

function hashOf(at: usize, bytes: usize): u32 {
  let hash: u64 = bytes;
  for (let done: usize = 0; done < bytes; done += 16) {
    const chunk = firstBytes(at + done, min(16, bytes - done));
    hash = (hash ^ v128.extract_lane<u64>(chunk, 0)) * 0x9e3779b97f4a7c15;
    hash = ((hash ^ (hash >>> 32)) + v128.extract_lane<u64>(chunk, 1)) * 0xff51afd7ed558ccd;
  }
  return <u32>(hash >>> 32);
}

function isNamed(entry: usize, at: usize, bytes: usize): bool {
  if (load<u32>(entry) !== <u32>bytes) return false;
  const name = entry + typeNameOffset;
  for (let done: usize = 0; done < bytes; done += 16) {
    const chunk = firstBytes(at + done, min(16, bytes - done));
    if (v128.any_true(v128.xor(v128.load(name + done), chunk))) return false;
  }
  return true;
}

function addType(slot: usize, at: usize, bytes: usize): i32 {
  const type = typeCount++;
  const entry = entryOf(type);
  store<u32>(entry, <u32>bytes);
  store<u32>(entry, 0, 4);
  for (let done: usize = 0; done < bytes; done += 16) {
    v128.store(entry + typeNameOffset + done, firstBytes(at + done, min(16, bytes - done)));
  }
  store<i32>(slot, type + 1);
  return type;
}

/** The number of the type whose name, of 1 to 128 bytes, is at `at`. */
export function typeOf(at: usize, bytes: usize): i32 {
  let place = hashOf(at, bytes);
  let type: i32;
  for (; ; place++) {
    const slot = typeSlotsAt + ((<usize>place & (typeSlots - 1)) << 2);
    type = load<i32>(slot) - 1;
    if (type < 0) {
      type = addType(slot, at, bytes);
      break;
    }
    if (isNamed(entryOf(type), at, bytes)) break;
  }
  const entry = entryOf(type);
  if (load<u32>(entry, 4) !== call) {
    store<u32>(entry, call, 4);
    store<i32>(metTypesAt + ((<usize>metTypes) << 2), type);
    metTypes++;
  }
  return type;
}
