import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findFreePort } from "../../base/free-port.ts";
import {
  answersOk,
  createTemporaryDirectory,
  findProgram,
  removeTemporaryDirectory,
  type StartedProcess,
  startProcess,
  waitUntil,
} from "../processes.ts";

const modulePath = "/usr/lib/nginx/modules/ngx_nchan_module.so";

export function findMissingNchan(): string | null {
  return findProgram("nginx") && existsSync(modulePath) ? null : "nginx-light, libnginx-mod-nchan";
}

export interface RunningNchan {
  port: number;
  process: StartedProcess;
  /** Subscribers get it as `event: update`. */
  publish(data: string): Promise<void>;
  stop(): Promise<boolean>;
}

/** nginx with the nchan module: the fan-out of server-sent events in C, one worker a CPU. */
export async function startNchan(): Promise<RunningNchan> {
  const directory = createTemporaryDirectory("nchan");
  const port = findFreePort();
  writeFileSync(join(directory, "nginx.conf"), configuration(port, directory));
  const process = startProcess({
    name: "nchan",
    command: [findProgram("nginx")!, "-p", directory, "-c", join(directory, "nginx.conf")],
    directory,
  });
  await waitUntil("/ready", process, () => answersOk(`http://127.0.0.1:${port}/ready`));
  return {
    port,
    process,
    async publish(data) {
      const response = await fetch(`http://127.0.0.1:${port}/publish`, {
        method: "POST",
        body: data,
        headers: { "X-EventSource-Event": "update" },
      });
      await response.arrayBuffer();
      if (!response.ok) throw new Error(`nchan answered ${response.status} to a publication`);
    },
    async stop() {
      const inTime = await process.stop();
      removeTemporaryDirectory(directory);
      return inTime;
    },
  };
}

function configuration(port: number, directory: string): string {
  const user = process.getuid?.() === 0 ? "user root;" : "";
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((kind) => `${kind}_temp_path ${join(directory, kind)};`)
    .join("\n  ");
  return `
load_module ${modulePath};
daemon off;
${user}
worker_processes auto;
worker_rlimit_nofile 20000;
pid ${join(directory, "nginx.pid")};
error_log stderr warn;
events { worker_connections 16384; }
http {
  access_log off;
  ${paths}
  nchan_shared_memory_size 256M;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location = /ready { return 200 "ready"; }
    location = /publish { nchan_publisher; nchan_channel_id bench; nchan_message_buffer_length 10; nchan_message_timeout 30s; }
    location = /dashboard-stream { nchan_subscriber eventsource; nchan_channel_id bench; nchan_subscriber_first_message newest; }
  }
}
`;
}
