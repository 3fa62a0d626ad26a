"""The device of the kill campaign in Python; `sender.mjs` says what it does."""

import json
import os
import sys
import time

settings = json.loads(sys.argv[1])
sys.path.insert(0, settings["sdk"])
sys.dont_write_bytecode = True
from sluice_device import Device  # noqa: E402

ledger = os.open(settings["ledger"], os.O_RDWR | os.O_CREAT | os.O_APPEND)
written = os.read(ledger, 1 << 30).decode().replace(".", " ").split()
device = Device(settings["url"], settings["deviceId"], spool=settings["spool"],
                spool_max_bytes=settings["spoolMaxBytes"], batch_events=200, flush_interval_s=0.05)
number = len(written)
while number < settings["events"]:
    for number in range(number, min(settings["events"], number + settings["perTurn"])):
        os.write(ledger, b"%d " % number)
        device.send("number", value_float=number, metadata={"padding": "x" * (number % 60)})
        os.write(ledger, b".")
    number += 1
    time.sleep(0.005)
device.flush()
device.close()
json.dump(device.stats, sys.stdout)
