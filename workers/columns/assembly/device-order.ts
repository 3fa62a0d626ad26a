import { Numbers, take } from "./heap";
import { lengthBytes } from "./lengths";
import { Device } from "./records";

/** What is compared first: the next eight bytes of a name behind what all names begin with, the first of them the highest. */
@unmanaged
class Entry {
  key: u64;
  device: u32;
  unused: u32;
}

@inline
function entryAt(entries: usize, index: u32): Entry {
  return changetype<Entry>(entries + <usize>index * offsetof<Entry>());
}

/** The devices in the order of their names' bytes, which is ClickHouse's order of strings; each is told its rank. */
export function orderDevices(list: Numbers, order: Numbers): void {
  const count = list.count;
  const common = commonBytes(list);
  let from = take(<u64>count * offsetof<Entry>());
  let to = take(<u64>count * offsetof<Entry>());
  for (let index: u32 = 0; index < count; index++) {
    const device = changetype<Device>(<usize>list.get(index));
    const entry = entryAt(from, index);
    entry.key = keyOf(device, common);
    entry.device = list.get(index);
  }
  for (let width: u32 = 1; width < count; width *= 2) {
    for (let start: u32 = 0; start < count; start += 2 * width) {
      merge(from, to, start, min(start + width, count), min(start + 2 * width, count), common);
    }
    const other = from;
    from = to;
    to = other;
  }

  order.clear();
  for (let index: u32 = 0; index < count; index++) {
    const device = entryAt(from, index).device;
    changetype<Device>(<usize>device).rank = index;
    order.push(device);
  }

}

@inline
function contentOf(device: Device): usize {
  return <usize>device.at + lengthBytes(device.at);
}

@inline
function lengthOf(device: Device): u32 {
  return device.bytes - <u32>lengthBytes(device.at);
}

/** How many bytes all names begin with. */
function commonBytes(list: Numbers): u32 {
  if (list.count === 0) return 0;
  const first = changetype<Device>(<usize>list.get(0));
  let common = lengthOf(first);
  for (let index: u32 = 1; index < list.count && common > 0; index++) {
    const device = changetype<Device>(<usize>list.get(index));
    const most = min(common, lengthOf(device));
    common = 0;
    while (common < most && load<u8>(contentOf(device) + common) === load<u8>(contentOf(first) + common)) common++;
  }
  return common;
}

/** Zeros where the name ends: what is equal then is compared whole. */
function keyOf(device: Device, from: u32): u64 {
  const left = lengthOf(device) - from;
  const bytes = bswap<u64>(load<u64>(contentOf(device) + from));
  return left >= 8 ? bytes : left === 0 ? 0 : bytes & (~(<u64>0) << ((8 - <u64>left) << 3));
}

function isBehind(a: Entry, b: Entry, from: u32): bool {
  if (a.key !== b.key) return a.key > b.key;
  const left = changetype<Device>(<usize>a.device);
  const right = changetype<Device>(<usize>b.device);
  const most = min(lengthOf(left), lengthOf(right));
  for (let at = from; at < most; at++) {
    const difference = <i32>load<u8>(contentOf(left) + at) - <i32>load<u8>(contentOf(right) + at);
    if (difference !== 0) return difference > 0;
  }
  return lengthOf(left) > lengthOf(right);
}

/** Two runs, each in order, become one. */
function merge(from: usize, to: usize, start: u32, middle: u32, end: u32, common: u32): void {
  let left = start;
  let right = middle;
  for (let index = start; index < end; index++) {
    const takesLeft = left < middle && (right >= end || !isBehind(entryAt(from, left), entryAt(from, right), common));
    const taken = entryAt(from, takesLeft ? left++ : right++);
    const entry = entryAt(to, index);
    entry.key = taken.key;
    entry.device = taken.device;
  }
}
