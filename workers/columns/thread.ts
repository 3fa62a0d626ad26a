/** Entry of the thread that makes columns: what it does takes too long for the one that makes events durable. */
import { textOf } from "../../base/error-text.ts";
import { createColumnWork } from "./make-columns.ts";
import type { ColumnReply, ColumnRequest, MadeColumns } from "./protocol.ts";

declare const self: Worker;

const work = createColumnWork();

function buffersOf({ events, states }: MadeColumns): ArrayBuffer[] {
  const blocks = states === null ? [events] : [events, states.rollups, states.devices];
  return blocks.flatMap((block) => (block.kind === "bytes" ? block.pieces.map((piece) => piece.buffer) : []));
}

function answer(request: ColumnRequest): void {
  const send = (reply: ColumnReply, transfer: ArrayBuffer[] = []): void => self.postMessage(reply, transfer);
  try {
    const made = work(request);
    send({ id: request.id, ok: true, made }, buffersOf(made));
  } catch (error) {
    send({ id: request.id, ok: false, message: textOf(error) });
  }
}

self.onmessage = (event: MessageEvent<ColumnRequest>) => answer(event.data);
