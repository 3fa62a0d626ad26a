/** Events that were accepted and are not yet durable, oldest first. */
export interface ObservationQueue {
  /** False when the queue is full: the request is then refused like one that finds the ring full. `value` NaN: none. */
  push(typeIndex: number, second: number, value: number, deviceHashA: number, deviceHashB: number): boolean;
  /** Before the first push of a request. */
  mark(): number;
  /** The request was refused: its pushes are undone. */
  rewind(mark: number): void;
}
