/** Thread of ring.test.ts: reads frames and checks that each is the next one, whole. */
import { RingConsumer, type RingMemory } from "../workers/ring/ring.ts";

declare const self: Worker;

let consumer: RingConsumer | undefined;
let frames = 0;
let read = 0;

function verify(ring: RingConsumer): string | undefined {
  do {
    for (let frame = ring.next(); frame !== undefined; frame = ring.next()) {
      const length = new DataView(frame.rows.buffer, frame.rows.byteOffset).getUint32(0, true);
      if (frame.rowCount !== read || frame.epoch !== read >>> 8)
        return `frame ${frame.rowCount} came as number ${read}`;
      if (length !== frame.rows.length) return `frame ${read} has ${frame.rows.length} bytes, not ${length}`;
      for (let index = 4; index < frame.rows.length; index++) {
        if (frame.rows[index] !== ((read * 31 + index * 7) & 255)) return `frame ${read} is torn at ${index}`;
      }
      read++;
    }
    ring.release();
    if (read === frames) return "verified";
  } while (!ring.trySleep());
  return undefined;
}

self.onmessage = (event: MessageEvent<"wake" | { memory: RingMemory; frames: number }>) => {
  if (event.data !== "wake") {
    consumer = new RingConsumer(event.data.memory);
    frames = event.data.frames;
  }
  const verdict = consumer && verify(consumer);
  if (verdict !== undefined) self.postMessage(verdict);
};
