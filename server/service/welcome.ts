/** What the first start on a data directory tells: where the page is, where the data goes, how to post an event. */
export interface Welcome {
  /** Where it listens, as a browser on this machine reaches it. */
  readonly url: string;
  readonly dataDirectory: string;
  readonly keysNeeded: boolean;
}

const event = '{"device_id": "greenhouse-7", "event_type": "temperature", "value_float": 21.5}';

export function postCommand({ url, keysNeeded }: Pick<Welcome, "url" | "keysNeeded">): string {
  const key = keysNeeded ? " -H 'Authorization: Bearer SECRET'" : "";
  return `curl -X POST ${url}/ingest -H 'Content-Type: application/json'${key} -d '${event}'`;
}

export function welcomeText(welcome: Welcome): string {
  return `
  The page is at      ${welcome.url}
  Data goes to        ${welcome.dataDirectory}
  Post an event with  ${postCommand(welcome)}
  Settings            sluice serve --help   (npm run sluice -- serve --help from a clone)
  Something wrong?    sluice doctor

`;
}
