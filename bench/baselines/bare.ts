import { join } from "node:path";
import { findFreePort } from "../../base/free-port.ts";
import {
  answersOk,
  bunPath,
  createTemporaryDirectory,
  removeTemporaryDirectory,
  startProcess,
  waitUntil,
} from "../processes.ts";
import { createJsonRequest, type Target } from "../target.ts";

/** A server that parses the body and keeps nothing: the ceiling for anything on this runtime. */
export function createBare(name: "bare-bun" | "bare-elysia"): Target {
  return {
    name,
    missing: () => null,
    async start() {
      const directory = createTemporaryDirectory(name);
      const port = findFreePort();
      const process = startProcess({
        name,
        command: [bunPath, join(import.meta.dirname, `${name}-server.ts`), String(port)],
        directory,
        placement: "beside-generator",
      });
      await waitUntil("answer", process, () => answersOk(`http://127.0.0.1:${port}/`));
      return {
        port,
        processes: [process],
        encode: (batch) => createJsonRequest(port, batch),
        stored: null,
        queryableOnAnswer: true,
        async stop() {
          const inTime = await process.stop();
          removeTemporaryDirectory(directory);
          return inTime;
        },
      };
    },
  };
}
