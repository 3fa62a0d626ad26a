/** Names of event types as small numbers. */
export interface TypeTable {
  /** Index of a name; 0, "(other)", when the table is full. */
  indexOf(eventType: string): number;
}
