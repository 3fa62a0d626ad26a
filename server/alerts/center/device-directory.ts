import type { Metadata } from "../evaluation/evaluator.ts";

export interface DirectoryDevice {
  readonly deviceId: string;
  /** Epoch milliseconds of its newest receipt. */
  readonly heardMs: number;
  /** Its own usual time between events; null: not known. */
  readonly intervalMs: number | null;
  readonly metadata: Metadata;
}

/** Who is in the fleet, and when each device was last heard: what rules of silence and the selection by metadata rest on. */
export interface DeviceDirectory {
  /** False until the devices of earlier runs are known; until then nothing is said of anybody's silence. */
  readonly isKnown: boolean;
  find(deviceId: string): DirectoryDevice | null;
  forEach(visit: (device: DirectoryDevice) => void): void;
}
