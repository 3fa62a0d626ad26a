"""The first version of the system that Sluice replaces: one payload a request, inserted into ClickHouse at once.

Environment: CLICKHOUSE_URL, CLICKHOUSE_USER, CLICKHOUSE_PASSWORD, CLICKHOUSE_TABLE.
Run: python3 -m uvicorn naive:app --port 8000
"""

import json
import os
from datetime import datetime, timezone
from typing import Dict, List, Optional

import aiohttp
from fastapi import FastAPI
from pydantic import BaseModel, Field

CLICKHOUSE_URL = os.environ["CLICKHOUSE_URL"]
CLICKHOUSE_HEADERS = {
    "X-ClickHouse-User": os.environ["CLICKHOUSE_USER"],
    "X-ClickHouse-Key": os.environ["CLICKHOUSE_PASSWORD"],
}
INSERT = {"query": f"INSERT INTO {os.environ['CLICKHOUSE_TABLE']} FORMAT JSONEachRow"}

# The embedded ClickHouse refuses more than 16 inserts that wait; without a pool of that size most requests would fail.
POOL_SIZE = 16


class Event(BaseModel):
    device_id: str = Field(min_length=1)
    event_type: str = Field(min_length=1)
    value_float: Optional[float] = None
    value_string: Optional[str] = None
    metadata: Optional[Dict[str, str]] = None


class Payload(BaseModel):
    events: List[Event]


app = FastAPI()


@app.on_event("startup")
async def start() -> None:
    pool = aiohttp.TCPConnector(limit=POOL_SIZE)
    app.state.session = aiohttp.ClientSession(headers=CLICKHOUSE_HEADERS, connector=pool)


@app.on_event("shutdown")
async def stop() -> None:
    await app.state.session.close()


@app.post("/ingest", status_code=202)
async def ingest(payload: Payload) -> dict:
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    rows = [{**event.dict(), "metadata": event.metadata or {}, "timestamp": now} for event in payload.events]
    body = "\n".join(json.dumps(row) for row in rows)
    async with app.state.session.post(CLICKHOUSE_URL, params=INSERT, data=body.encode()) as response:
        await response.read()
        response.raise_for_status()
    return {"status": "stored", "event_count": len(rows)}


@app.get("/health")
async def health() -> dict:
    return {"status": "ok"}
