import { copyShort, Numbers, take, takeForStrings } from "./heap";
import { writeMetadataState, metadataStateMax } from "./newest-metadata";
import { Device, Metadata } from "./records";
import { NameTable } from "./table";
import * as columns from "./column-list";

/** Two-byte lengths are as far as a device's id goes; its own is among its bytes. */
const reportBytes: u64 = 9;

export const devices = new NameTable();
/** In the order of their first occurrence. */
export const deviceList = new Numbers();

export function beginDevices(): void {
  devices.clear();
  deviceList.clear();
}

@inline
export function findDevice(at: usize, bytes: usize): Device {
  const known = devices.count;
  const device = changetype<Device>(devices.find(at, bytes, offsetof<Device>()));
  if (devices.count > known) deviceList.push(<u32>changetype<usize>(device));
  return device;
}

/** After its row was counted. */
@inline
export function addToDevice(device: Device, timestamp: i64, received: i64, metadata: usize): void {
  if (device.rows === 1) {
    device.firstSeen = timestamp;
    device.lastSeen = timestamp;
    device.firstReceived = received;
    device.lastReceived = received;
  } else {
    if (timestamp < device.firstSeen) device.firstSeen = timestamp;
    if (timestamp > device.lastSeen) device.lastSeen = timestamp;
    if (received < device.firstReceived) device.firstReceived = received;
    if (received > device.lastReceived) device.lastReceived = received;
  }
  if (metadata === 0) return;
  if (device.newestMetadata !== 0 && timestamp <= device.newestMetadataAt) return;
  device.newestMetadata = <u32>metadata;
  device.newestMetadataAt = timestamp;
}

/** The rows of `devices` that the view would make, in the given order. */
export function writeDevices(order: Numbers): void {
  const count = order.count;
  let nameBytes: u64 = 0;
  let stateBytes: u64 = 0;
  for (let index: u32 = 0; index < count; index++) {
    const device = changetype<Device>(<usize>order.get(index));
    nameBytes += device.bytes;
    stateBytes += metadataStateMax(changetype<Metadata>(<usize>device.newestMetadata));
  }
  const names = takeForStrings(nameBytes);
  const firstSeen = take(<u64>count * 8);
  const lastSeen = take(<u64>count * 8);
  const counts = take(<u64>count * 8);
  const reports = take(<u64>count * reportBytes);
  const firstReceived = take(<u64>count * 8);
  const lastReceived = take(<u64>count * 8);
  const states = takeForStrings(stateBytes);
  let name = names;
  let state = states;
  for (let index: u32 = 0; index < count; index++) {
    const device = changetype<Device>(<usize>order.get(index));
    const at = <usize>index << 3;
    copyShort(name, device.at, device.bytes);
    name += device.bytes;
    store<i64>(firstSeen + at, device.firstSeen);
    store<i64>(lastSeen + at, device.lastSeen);
    store<u64>(counts + at, device.rows);
    // groupArraySorted(8) of one number: how many, then the numbers.
    store<u8>(reports + at + index, 1);
    store<i64>(reports + at + index, -device.lastSeen, 1);
    store<i64>(firstReceived + at, device.firstReceived);
    store<i64>(lastReceived + at, device.lastReceived);
    state = writeMetadataState(state, changetype<Metadata>(<usize>device.newestMetadata), device.newestMetadataAt);
  }
  columns.set(columns.deviceNames, names, name);
  columns.set(columns.deviceFirstSeen, firstSeen, firstSeen + (<usize>count << 3));
  columns.set(columns.deviceLastSeen, lastSeen, lastSeen + (<usize>count << 3));
  columns.set(columns.deviceCounts, counts, counts + (<usize>count << 3));
  columns.set(columns.deviceReports, reports, reports + <usize>count * <usize>reportBytes);
  columns.set(columns.deviceFirstReceived, firstReceived, firstReceived + (<usize>count << 3));
  columns.set(columns.deviceLastReceived, lastReceived, lastReceived + (<usize>count << 3));
  columns.set(columns.deviceNewestMetadata, states, state);
}
