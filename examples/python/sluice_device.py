"""A device client for Sluice that forgets nothing, in one file, with Python's standard library alone.

    from sluice_device import Device

    with Device("https://sluice.example.org", "boiler-7", key="SECRET", spool="./spool") as device:
        device.send("temperature", value_float=71.5, metadata={"unit": "°C"})

It keeps what `@sluice/device` keeps, in the same files. A batch is a file, named by its number and its
Idempotency-Key; events are added to the newest until it is full or sent. A batch that was begun never changes and is
never evicted, and it is flushed before its first attempt: an attempt after a crash repeats the one before it, and the
service knows it by its key. Each line is a CRC-32 in hexadecimal, a space and the event in JSON; torn and damaged
lines are left out. `counts.json` has the counts, and names the batch whose end they are the first to tell.

Run as a program it posts this machine's load: python3 sluice_device.py http://127.0.0.1:8000 [SPOOL]
"""

import gzip
import json
import math
import os
import random
import re
import socket
import sys
import threading
import time
import traceback
import urllib.error
import urllib.request
import zlib
from email.utils import parsedate_to_datetime

try:
    import fcntl
except ImportError:  # Windows has none: there, nothing keeps two devices from one spool.
    fcntl = None

FORMAT_VERSION = 1
BATCH_NAME = re.compile(r"(\d{10,15})-([0-9a-f]{32})")
REQUEST_TIMEOUT_S = 30
LONGEST_BACKOFF_S = 30
LONGEST_RETRY_AFTER_S = 600
CLOSE_TIMEOUT_S = 5
BATCH_MAX_BYTES = 1024 * 1024
SPOOL_MIN_BYTES = 256 * 1024
GZIP_MIN_BYTES = 1024
FINAL_STATUSES = (400, 415, 422)


class _Batch:
    def __init__(self, name, events=0, size=0, sealed=False):
        self.name, self.events, self.bytes, self.sealed = name, events, size, sealed
        self.begun = False
        self.lines = []  # In memory only.


class Device:
    """Takes events without ever waiting for the network, and sends them in batches from a thread of its own.

    `spool` is a directory of this device alone, or None for memory. `on_report(name, details)` is called with
    "acknowledged", "evicted", "refused" and "retry", from whichever thread it happens in.
    """

    def __init__(self, url, device_id, key="", spool=None, spool_max_bytes=None, batch_events=1000,
                 flush_interval_s=1.0, on_report=None):
        if not re.match(r"https?://", url):
            raise ValueError("url must be an http:// or https:// address")
        _check_text("device_id", device_id, 1, 256)
        self._max_bytes = spool_max_bytes or (16 if spool is None else 64) * 1024 * 1024
        if self._max_bytes < SPOOL_MIN_BYTES:
            raise ValueError(f"spool_max_bytes must be at least {SPOOL_MIN_BYTES}")
        self._batch_max_bytes = min(BATCH_MAX_BYTES, self._max_bytes // 8)
        self._url = url.rstrip("/") + "/ingest?on_error=skip"
        self._device_id, self._key, self._directory = device_id, key, spool
        self._batch_events, self._flush_interval_s = batch_events, flush_interval_s
        self._on_report = on_report
        self._counts = {"acknowledged": 0, "evicted": 0, "refused": 0, "damaged": 0, "settled": None}
        self._batches = []
        self._newest = 0
        self._flushing = 0
        self._closed = False
        self._deadline = math.inf
        self._writing = None
        self._lock_file = None
        self._changed = threading.Condition()
        if spool is not None:
            self._recover()
        self._thread = threading.Thread(target=self._deliver, name="sluice", daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, event_type, value_float=None, value_string=None, metadata=None, timestamp=None, device_id=None):
        """Takes an event; `timestamp` is ISO 8601 text or epoch milliseconds, and now when absent.

        Raises ValueError for an invalid event, and RuntimeError after `close`.
        """
        event = _encode(device_id or self._device_id, event_type, value_float, value_string, metadata, timestamp)
        line = b"%08x %s\n" % (zlib.crc32(event), event)
        if len(line) > self._batch_max_bytes:
            raise ValueError(f"event must be at most {self._batch_max_bytes} bytes of JSON")
        with self._changed:
            if self._closed:
                raise RuntimeError("the device is closed")
            self._make_room(len(line))
            batch = self._open_batch(len(line))
            try:
                self._append(batch, line)
            except OSError as error:
                batch.sealed = True  # A line may be half written: nothing is added behind it.
                self._counts["evicted"] += 1
                if batch.events == 0:
                    self._remove(batch)
                self._report("evicted", {"events": 1, "reason": f"the spool cannot be written: {error}"})
                return
            batch.bytes += len(line)
            batch.events += 1
            batch.sealed = batch.events >= self._batch_events
            self._changed.notify_all()

    def flush(self, timeout_s=None):
        """Sends what waits for its batch to fill. True once every event sent before is settled, False when it is late."""
        with self._changed:
            newest = self._newest
            self._flushing += 1
            self._changed.notify_all()
            try:
                return self._changed.wait_for(
                    lambda: not self._batches or _number(self._batches[0]) > newest or self._closed, timeout_s
                ) and (not self._batches or _number(self._batches[0]) > newest)
            finally:
                self._flushing -= 1

    def close(self):
        """Tries once more, for at most 5 s. What is left in the spool is sent after the next start."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._deadline = time.monotonic() + CLOSE_TIMEOUT_S
            self._changed.notify_all()
        self._thread.join()
        if self._directory is not None:
            self._write_counts()
            if self._writing:
                os.fsync(self._writing[1])
                os.close(self._writing[1])
            self._lock_file.close()

    @property
    def stats(self):
        """Every event that `send` took is in exactly one of these."""
        with self._changed:
            counts = {name: count for name, count in self._counts.items() if name != "settled"}
            return {"queued": sum(batch.events for batch in self._batches), **counts}

    def _report(self, name, details):
        if self._on_report is None:
            return
        try:
            self._on_report(name, details)
        except Exception:  # Whatever goes wrong in there must not end the delivery.
            traceback.print_exc()

    # The spool. All of this is called with the lock held.

    def _recover(self):
        os.makedirs(self._directory, exist_ok=True)
        self._lock_file = open(os.path.join(self._directory, "lock"), "a")
        if fcntl:
            try:
                fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise RuntimeError(f"{self._directory} is the spool of another device that is running") from None
        try:
            with open(self._path("counts.json"), encoding="utf-8") as file:
                counts = json.load(file)
            if counts.pop("version") != FORMAT_VERSION:
                raise RuntimeError(f"{self._directory} has a format of a later version")
            self._counts = counts
        except (FileNotFoundError, json.JSONDecodeError):
            pass  # Torn by a power cut: counting begins anew, and no event depends on it.
        for name in sorted(filter(BATCH_NAME.fullmatch, os.listdir(self._directory))):
            lines, damaged, size = self._read(name)
            if name == self._counts["settled"] or not (lines or damaged):
                os.remove(self._path(name))
                continue
            self._counts["damaged"] += damaged
            self._batches.append(_Batch(name, len(lines), size, sealed=True))
        if self._batches:
            self._newest = _number(self._batches[-1])
            self._batches[0].begun = True

    def _path(self, name):
        return os.path.join(self._directory, name)

    def _read(self, name):
        with open(self._path(name), "rb") as file:
            content = file.read()
        lines, damaged = [], 0
        for line in content.split(b"\n")[:-1]:  # Behind the last line end is what a crash tore off.
            event = line[9:]
            if line[:8] == b"%08x" % zlib.crc32(event):
                lines.append(event)
            else:
                damaged += 1
        return lines, damaged, len(content)

    def _make_room(self, needed):
        while sum(batch.bytes for batch in self._batches) + needed > self._max_bytes:
            victim = next((batch for batch in self._batches if not batch.begun), None)
            if victim is None:
                return
            self._counts["evicted"] += victim.events
            self._remove(victim)
            self._report("evicted", {"events": victim.events, "reason": f"the spool is full ({self._max_bytes} bytes)"})

    def _open_batch(self, needed):
        last = self._batches[-1] if self._batches else None
        if last and not last.sealed and last.bytes + needed <= self._batch_max_bytes:
            return last
        self._newest += 1
        batch = _Batch(f"{self._newest:010d}-{os.urandom(16).hex()}")
        self._batches.append(batch)
        return batch

    def _append(self, batch, line):
        if self._directory is None:
            batch.lines.append(line[9:-1])
            return
        if not self._writing or self._writing[0] != batch.name:
            if self._writing:
                os.close(self._writing[1])
            self._writing = None
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
            self._writing = (batch.name, os.open(self._path(batch.name), flags, 0o600))
        written = 0
        while written < len(line):
            written += os.write(self._writing[1], line[written:])

    def _remove(self, batch):
        """Ends a batch that was counted. The counts name it: a crash before its removal counts it once."""
        self._batches.remove(batch)
        self._counts["settled"] = batch.name
        if self._directory is not None:
            self._write_counts()
            try:
                os.remove(self._path(batch.name))
            except FileNotFoundError:
                pass  # Its first line could not be written.
        self._changed.notify_all()

    def _write_counts(self):
        try:
            with open(self._path("counts.json.new"), "w", encoding="utf-8") as file:
                json.dump({"version": FORMAT_VERSION, **self._counts}, file)
            os.replace(self._path("counts.json.new"), self._path("counts.json"))
        except OSError:
            pass  # They are behind until the next time; no event depends on them.

    # The delivery, in its own thread.

    def _deliver(self):
        attempt, sending = 0, None
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._batches or self._closed)
                if not self._batches or time.monotonic() >= self._deadline:
                    return
                if sending is None and attempt == 0:
                    self._changed.wait_for(self._is_due, self._flush_interval_s)
                last = self._closed
            try:
                sending = sending or self._begin()
                failure = self._send_piece(sending)
                if sending["done"] >= len(sending["events"]):
                    self._settle(sending)
                    sending = None
            except OSError as error:  # The disk: without the key on it nothing is sent.
                failure = (None, 0, str(error))
            attempt = 0 if failure is None else attempt + 1
            if failure is None:
                continue
            if last:
                return
            status, retry_after_s, reason = failure
            # Full jitter on an exponential ceiling, on top of what the service asked for.
            delay_s = retry_after_s + random.random() * min(LONGEST_BACKOFF_S, 0.1 * 2 ** min(attempt - 1, 16))
            self._report("retry", {"attempt": attempt, "delay_s": delay_s, "status": status, "reason": reason})
            with self._changed:
                self._changed.wait_for(lambda: self._closed, delay_s)

    def _is_due(self):
        return len(self._batches) > 1 or self._batches[0].sealed or self._flushing or self._closed

    def _begin(self):
        with self._changed:
            batch = self._batches[0]
            batch.sealed = batch.begun = True
        if self._directory is None:
            events = batch.lines
        else:
            for path, flags in ((self._path(batch.name), os.O_RDWR), (self._directory, os.O_RDONLY)):
                if path is self._directory and os.name == "nt":
                    continue
                descriptor = os.open(path, flags)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
            events = self._read(batch.name)[0]
        with self._changed:
            self._counts["damaged"] += batch.events - len(events)
            batch.events = len(events)
        key = BATCH_NAME.fullmatch(batch.name).group(2)
        return {"key": key, "events": events, "size": len(events), "done": 0, "refused": 0}

    def _send_piece(self, sending):
        """None when the piece is settled, one way or the other; else the status, what to wait, and why."""
        done, size, total = sending["done"], sending["size"], len(sending["events"])
        piece = sending["events"][done:done + size]
        if not piece:
            return None
        # The halves of a batch that is too large have the same keys after a crash.
        key = sending["key"] if size == total else f"{sending['key']}-{done}-{size}"
        status, retry_after, answer, text = self._post(key, piece)
        taken, refused = answer.get("event_count"), answer.get("rejected_count", 0)
        if status in (200, 202) and isinstance(taken, int) and taken + refused >= len(piece):
            if refused:
                self._refuse(sending, refused, answer.get("rejected"))
            self._report("acknowledged", {"events": len(piece) - refused})
        elif status == 413 and len(piece) > 1:
            sending["size"] = math.ceil(size / 2)
            return None
        elif status == 413 or (status in FINAL_STATUSES and isinstance(answer.get("error"), dict)):
            self._refuse(sending, len(piece), text)
        else:
            return status, retry_after, text
        sending["done"] += len(piece)
        return None

    def _post(self, key, piece):
        body = b'{"events":[' + b",".join(piece) + b"]}"
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        if len(body) > GZIP_MIN_BYTES:
            body = gzip.compress(body, 6)
            headers["Content-Encoding"] = "gzip"
        timeout_s = max(0.1, min(REQUEST_TIMEOUT_S, self._deadline - time.monotonic()))
        request = urllib.request.Request(self._url, body, headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as response:
                status, retry_after, text = response.status, None, response.read().decode("utf-8", "replace")
        except urllib.error.HTTPError as error:
            with error:
                retry_after = error.headers.get("Retry-After")
                status, text = error.code, error.read().decode("utf-8", "replace")
        except Exception as error:  # urllib raises many kinds for a connection that fails; accepted or not: nobody knows.
            return None, 0, {}, str(error)
        try:
            answer = json.loads(text)
        except ValueError:
            answer = {}
        return status, _retry_after_s(retry_after), answer if isinstance(answer, dict) else {}, text[:300]

    def _refuse(self, sending, events, reason):
        sending["refused"] += events
        self._report("refused", {"events": events, "reason": reason})

    def _settle(self, sending):
        with self._changed:
            batch = self._batches[0]
            self._counts["acknowledged"] += batch.events - sending["refused"]
            self._counts["refused"] += sending["refused"]
            self._remove(batch)


def _number(batch):
    return int(BATCH_NAME.fullmatch(batch.name).group(1))


def _check_text(name, text, least, most):
    if not isinstance(text, str) or not least <= len(text) <= most:
        raise ValueError(f"{name} must be a string of {least} to {most} characters")


def _encode(device_id, event_type, value_float, value_string, metadata, timestamp):
    _check_text("device_id", device_id, 1, 256)
    _check_text("event_type", event_type, 1, 128)
    event = {"device_id": device_id, "event_type": event_type}
    if value_float is not None:
        if isinstance(value_float, bool) or not isinstance(value_float, (int, float)) or not math.isfinite(value_float):
            raise ValueError("value_float must be a finite number or None")
        event["value_float"] = value_float
    if value_string is not None:
        _check_text("value_string", value_string, 0, 64 * 1024)
        event["value_string"] = value_string
    if metadata:
        if len(metadata) > 64 or not all(isinstance(part, str) for item in metadata.items() for part in item):
            raise ValueError("metadata must be at most 64 strings by name")
        event["metadata"] = metadata
    event["timestamp"] = time.time_ns() // 1_000_000 if timestamp is None else timestamp
    try:
        encoded = json.dumps(event, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("an event must not contain a lone surrogate") from None
    if value_string is not None and len(value_string.encode("utf-8")) > 64 * 1024:
        raise ValueError("value_string must be at most 65536 bytes of UTF-8")
    return encoded


def _retry_after_s(header):
    if not header:
        return 0
    try:
        seconds = int(header) if header.strip().isdigit() else parsedate_to_datetime(header).timestamp() - time.time()
    except (TypeError, ValueError):
        return 0
    return min(max(seconds, 0), LONGEST_RETRY_AFTER_S)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("python3 sluice_device.py URL [SPOOL]")
    with Device(sys.argv[1], socket.gethostname(), key=os.environ.get("SLUICE_KEY", ""),
                spool=sys.argv[2] if len(sys.argv) > 2 else None,
                on_report=lambda name, details: print(name, details, file=sys.stderr)) as device:
        try:
            while True:
                device.send("load_1m", value_float=os.getloadavg()[0], metadata={"unit": "processes"})
                time.sleep(1)
        except KeyboardInterrupt:
            pass
