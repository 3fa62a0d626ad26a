/** Who may write and who may read. Routes ask; how keys are kept is this folder's business. */
export interface Access {
  /** May this request post events? */
  ingest(request: Request): IngestPrincipal | Response;
  /** May this request read? The viewer's name, for limits per viewer. */
  viewer(request: Request): Viewer | Response;
}

export interface IngestPrincipal {
  /** Name of the key; idempotency keys are its own. */
  readonly name: string;
  /** When set, every device id has to start with it. */
  readonly devicePrefix: string | null;
  /** Counts events against the key's rate; a response when they are too many. */
  takeEvents(count: number): Response | undefined;
}

export interface Viewer {
  readonly name: string;
}

const anyone: IngestPrincipal = { name: "", devicePrefix: null, takeEvents: () => undefined };
const anyViewer: Viewer = { name: "" };

/** No keys are set: open, which the configuration allows on loopback only. */
export const openAccess: Access = { ingest: () => anyone, viewer: () => anyViewer };
