# The client is built with everything, the image carries what runs. Debian, not Alpine: chdb is a glibc library.
FROM node:22-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
RUN node base/wasm/build.mjs && npx vite build client --logLevel warn

FROM node:22-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# `bun` as a package is for a machine without it: the image has it. A service that is given a CLICKHOUSE_URL needs no
# engine either; `--build-arg EMBEDDED=1` keeps chdb for one that is not.
ARG EMBEDDED=0
RUN npm ci --ignore-scripts --omit=dev --no-audit --no-fund \
 && rm -rf node_modules/bun node_modules/@oven \
 && if [ "$EMBEDDED" = 0 ]; then rm -rf node_modules/chdb node_modules/@chdb; fi

FROM oven/bun:1.4.5-slim
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/client/dist client/dist
COPY package.json ./
COPY base base
COPY contract contract
COPY cli cli
COPY sdk sdk
# From the build, for the WebAssembly modules beside the sources.
COPY --from=build /app/server server
COPY --from=build /app/workers workers
COPY ddl ddl
RUN mkdir /data && chown bun:bun /data
USER bun
ENV HOST=0.0.0.0 PORT=8000 DATA_DIR=/data NODE_ENV=production
VOLUME /data
EXPOSE 8000
# Alive, not ready: an instance whose Redis or ClickHouse is away must not be killed for it.
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --retries=5 \
  CMD ["bun", "-e", "const r = await fetch('http://127.0.0.1:' + (process.env.PORT ?? 8000) + '/healthz'); process.exit(r.ok ? 0 : 1)"]
# SIGTERM flushes, bounded by SHUTDOWN_TIMEOUT.
STOPSIGNAL SIGTERM
CMD ["bun", "server/main.ts"]
