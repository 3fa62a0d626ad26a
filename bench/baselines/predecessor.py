"""The system that Sluice replaces, second version: FastAPI, an asyncio queue, a flushing task, a dashboard stream.

Written for the bench from its description. Its faults are kept, for they are what is measured against: the queues have
no bound, what is in memory is lost with the process, and a batch is given up after five tries.

Environment: CLICKHOUSE_URL, CLICKHOUSE_USER, CLICKHOUSE_PASSWORD, CLICKHOUSE_TABLE.
Run: python3 -m uvicorn predecessor:app --port 8000
"""

import asyncio
import json
import os
from datetime import datetime, timezone
from typing import Dict, List, Optional

import aiohttp
import backoff
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

BATCH_SIZE = 5_000
FLUSH_INTERVAL_S = 2.0
AGGREGATION_INTERVAL_S = 5.0
INSERT_TRIES = 5

CLICKHOUSE_URL = os.environ["CLICKHOUSE_URL"]
CLICKHOUSE_HEADERS = {
    "X-ClickHouse-User": os.environ["CLICKHOUSE_USER"],
    "X-ClickHouse-Key": os.environ["CLICKHOUSE_PASSWORD"],
}
TABLE = os.environ["CLICKHOUSE_TABLE"]

AGGREGATION = f"""
SELECT event_type, count() AS event_count, avg(value_float) AS avg_value
FROM {TABLE} WHERE timestamp > now() - INTERVAL 10 MINUTE
GROUP BY event_type ORDER BY event_count DESC LIMIT 10 FORMAT JSON
"""


class Event(BaseModel):
    device_id: str = Field(min_length=1)
    event_type: str = Field(min_length=1)
    value_float: Optional[float] = None
    value_string: Optional[str] = None
    metadata: Optional[Dict[str, str]] = None


class Payload(BaseModel):
    events: List[Event]


app = FastAPI()
queue: "asyncio.Queue[Optional[dict]]" = asyncio.Queue()
viewers: "set[asyncio.Queue[str]]" = set()
STOP = None  # the sentinel that drains the queue on shutdown


@app.on_event("startup")
async def start() -> None:
    app.state.session = aiohttp.ClientSession(headers=CLICKHOUSE_HEADERS)
    app.state.writer = asyncio.create_task(write_batches())
    app.state.aggregator = asyncio.create_task(broadcast_aggregations())


@app.on_event("shutdown")
async def stop() -> None:
    app.state.aggregator.cancel()
    await queue.put(STOP)
    await app.state.writer
    await app.state.session.close()


@app.post("/ingest", status_code=202)
async def ingest(payload: Payload) -> dict:
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    for event in payload.events:
        row = event.dict()
        row["timestamp"] = now
        row["metadata"] = row["metadata"] or {}
        await queue.put(row)
    return {"status": "queued", "event_count": len(payload.events)}


async def write_batches() -> None:
    loop = asyncio.get_running_loop()
    stopping = False
    while not stopping:
        batch: List[dict] = []
        deadline = loop.time() + FLUSH_INTERVAL_S
        while len(batch) < BATCH_SIZE and not stopping:
            try:
                row = queue.get_nowait() if not queue.empty() else await asyncio.wait_for(
                    queue.get(), max(0.0, deadline - loop.time())
                )
            except asyncio.TimeoutError:
                break
            if row is STOP:
                stopping = True
            else:
                batch.append(row)
        if batch:
            try:
                await insert(batch)
            except aiohttp.ClientError as error:
                print(f"lost a batch of {len(batch)}: {error}", flush=True)


@backoff.on_exception(backoff.expo, aiohttp.ClientError, max_tries=INSERT_TRIES, jitter=backoff.full_jitter)
async def insert(batch: List[dict]) -> None:
    body = "\n".join(json.dumps(row) for row in batch)
    params = {"query": f"INSERT INTO {TABLE} FORMAT JSONEachRow"}
    async with app.state.session.post(CLICKHOUSE_URL, params=params, data=body.encode()) as response:
        await response.read()
        response.raise_for_status()


async def broadcast_aggregations() -> None:
    while True:
        await asyncio.sleep(AGGREGATION_INTERVAL_S)
        try:
            async with app.state.session.post(CLICKHOUSE_URL, data=AGGREGATION.encode()) as response:
                rows = (await response.json(content_type=None))["data"]
        except (aiohttp.ClientError, ValueError, KeyError) as error:
            print(f"no aggregation: {error}", flush=True)
            continue
        update = json.dumps({"timestamp": datetime.now(timezone.utc).isoformat(), "aggregations": rows})
        for viewer in viewers:
            viewer.put_nowait(update)


@app.get("/dashboard-stream")
async def dashboard_stream(request: Request) -> StreamingResponse:
    viewer: "asyncio.Queue[str]" = asyncio.Queue()
    viewers.add(viewer)

    async def updates():
        try:
            while not await request.is_disconnected():
                yield f"event: update\ndata: {await viewer.get()}\n\n"
        finally:
            viewers.discard(viewer)

    return StreamingResponse(updates(), media_type="text/event-stream")


@app.get("/health")
async def health() -> dict:
    return {"status": "ok"}
