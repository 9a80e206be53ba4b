"""Runs Kafka Connect, Millrace and the bare loops in turn, and writes what was measured. Started by `run`."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import mongodb
import report
from broker import Broker
from cases import AVRO_SCHEMA, CASES, avro, connector, enveloped, orders
from sides import Connect, Millrace, until

RECORDS = int(os.environ.get("BENCH_RECORDS", "1000000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
CHOSEN = [name for name in os.environ.get("BENCH_CASES", "").split(",") if name]
OUT = pathlib.Path(os.environ.get("BENCH_OUT", pathlib.Path(__file__).parent))
# Short runs of one side, while tuning
SIDES = [name for name in os.environ.get("BENCH_SIDES", "connect,millrace").split(",") if name]


def records_in(topic):
    """Records with schemas are four times as large: half as many do. Stores take longer than the end of nothing."""
    return RECORDS // {"orders-schema": 2, mongodb.TOPIC: mongodb.SHARE}.get(topic, 1)


def records_of(case):
    return records_in(mongodb.TOPIC if case.end.startswith("mongodb-") else case.topic)


# Of the start-up
FILE = next(case for case in CASES if case.end == "file")


class Bench:
    def __init__(self, folder, disk, broker):
        self.folder = folder
        self.disk = disk
        self.broker = broker
        self.cases = [case for case in CASES + mongodb.CASES if not CHOSEN or case.name in CHOSEN]
        self.mongodb = None
        self.sides = {side.name: side for side in (Connect, Millrace) if side.name in SIDES}
        self.runs = {}
        self.starts = {}
        self.limits = {}
        self.store_limits = {}
        self.sizes = {}
        self.count = 0

    def prepare(self):
        self.sides = {name: side(self.folder, self.broker.bootstrap) for name, side in self.sides.items()}
        for side in self.sides.values():
            side.start()
        makers = {"orders-schema": enveloped, "orders-avro": self.avro}
        for topic in sorted({case.topic for case in self.cases if case.topic} | {"orders"}):
            self.broker.create(topic)
            count = self.broker.produce(topic, makers.get(topic, orders)(records_in(topic)))
            print(f"{topic}: {count} records", flush=True)
        if any(case.end.startswith("mongodb-") for case in self.cases):
            self.mongodb = mongodb.MongoDB(self.disk)
            self.mongodb.fill(records_in(mongodb.TOPIC))
        if any(case.end == "source" for case in self.cases):
            with (self.folder / "orders.jsonl").open("w") as lines:
                lines.writelines(value + "\n" for _, value in orders(RECORDS))
        for side in self.sides.values():
            side.wait_ready()

    def stop(self):
        for side in self.sides.values():
            if not isinstance(side, type):
                side.stop()
        if self.mongodb:
            self.mongodb.stop()

    def avro(self, count):
        return avro(count, self.broker.register("orders-avro-value", AVRO_SCHEMA))

    # --- one run ---------------------------------------------------------------------------------

    def run(self, case, side):
        """From the creation of a connector to its last record; answers what it took."""
        self.count += 1
        name = f"{case.name}-{self.count}"
        records = records_of(case)
        topic, path = case.topic, str(self.folder / f"{name}.out")
        if case.end == "source":
            topic, path = name, str(self.folder / "orders.jsonl")
        elif case.end in ("mongodb-stream", "mongodb-copy"):
            topic = self.mongodb.topic(name)
        if topic != case.topic:
            self.broker.create(topic)
        side.reset_peak()
        before = side.cpu()
        side.call("PUT", f"/connectors/{name}/config", self.config(case, side, name, topic, path))
        first, last = self.wait_end(case, side, name, topic, path, records)
        cpu = side.cpu() - before
        memory = side.memory_mib()
        side.call("DELETE", f"/connectors/{name}")
        until(f"{name} is gone", lambda: name not in side.call("GET", "/connectors"), 30, 0.05)
        if topic != case.topic:
            self.broker.delete(topic)
        elif case.end == "mongodb-sink":
            self.mongodb.drop(name)
        else:
            pathlib.Path(path).unlink(missing_ok=True)
        time.sleep(0.5)  # what is left of the connector ends before the next one is measured
        return {"rate": records / max(last - first, 1e-3), "cpu": cpu * 1e6 / records, "memory": memory}

    def config(self, case, side, name, topic, path):
        if case.end.startswith("mongodb-"):
            return self.mongodb.connector(case, side.name, name)
        return connector(case, side.name, topic, path, records_of(case), self.broker.registry)

    def wait_end(self, case, side, name, topic, path, records):
        """The times of the first and of the last record."""
        arrived = lambda: self.broker.end(topic) or 0  # noqa: E731
        progress = {
            "source": arrived,
            "mongodb-stream": arrived,
            "mongodb-copy": arrived,
            "mongodb-sink": lambda: self.mongodb.count(name),
            "file": lambda: os.path.getsize(path) if os.path.exists(path) else 0,
            "null": lambda: self.sides["millrace"].written(name),
        }[case.end]
        if case.end == "null" and side.name == "connect":
            text = self.watch(side, name, lambda: os.path.exists(path) and pathlib.Path(path).read_text())
            first, last, count = (int(number) for number in text.split())
            if count != records:
                raise RuntimeError(f"{name}: {count} records instead of {records}")
            return first / 1000, last / 1000
        goal = self.sizes.get((case.name, side.name)) if case.end == "file" else records
        # Asking the worker or its store costs them time, which is not to be measured
        pause = 0.05 if case.end in ("null", "mongodb-sink") else 0.01
        self.watch(side, name, progress, pause)
        first = time.time()
        if goal is None:
            return first, self.learn_size(case, side, name, path, records)
        self.watch(side, name, lambda: progress() >= goal, pause)
        return first, time.time()

    def learn_size(self, case, side, name, path, records):
        """The first run of a file sink tells how large the file gets: it counts its lines."""

        def still():
            size = os.path.getsize(path)
            time.sleep(2)
            return size == os.path.getsize(path) and size

        size = self.watch(side, name, still)
        last = os.path.getmtime(path)
        with open(path, "rb") as file:
            lines = sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
        if lines != records:
            raise RuntimeError(f"{name}: {lines} lines instead of {records}")
        self.sizes[case.name, side.name] = size
        return last

    def watch(self, side, name, check, pause=0.01):
        """As `until`, and ends at once when the task has failed."""
        looked = time.monotonic()

        def both():
            nonlocal looked
            if time.monotonic() - looked > 5:
                looked = time.monotonic()
                if why := side.failed_task(name):
                    raise RuntimeError(f"{side.name}: {name} has failed: {why}\n{side.log_tail()}")
            return check()

        return until(f"{side.name}: {name}", both, pause=pause)

    # --- all of it -------------------------------------------------------------------------------

    @staticmethod
    def bare(example, *words):
        """A bare loop; answers CPU-seconds per million records and records per second."""
        command = [pathlib.Path(os.environ["BENCH_BIN"]) / "examples" / example, *words]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        rate, cpu = re.search(r"(\d+) records/s, ([\d.]+) CPU-seconds per million", text).groups()
        return {"rate": float(rate), "cpu": float(cpu)}

    def limit(self, topic, example="limit"):
        words = ["--bootstrap", self.broker.bootstrap, "--topic", topic, "--records", str(records_in(topic))]
        return self.bare(example, *words)

    def throughput(self):
        topics = sorted({case.topic for case in self.cases if case.topic} - {mongodb.TOPIC})
        for number in range(ROUNDS + 1):
            title = f"round {number} of {ROUNDS}" if number else "warm-up"
            for topic in topics:
                self.keep(self.limits, topic, self.limit(topic), number, title, "limit", topic)
                if topic == "orders":
                    found = self.limit(topic, "limit_mimalloc")
                    self.keep(self.limits, f"{topic}, mimalloc", found, number, title, "limit with mimalloc", topic)
            for case in self.cases:
                if case.end.startswith("mongodb-"):
                    found = self.bare("limit_mongodb", *self.mongodb.limit(case, records_of(case)))
                    self.keep(self.store_limits, case.name, found, number, title, "bare driver loop", case.title)
                for name, side in self.sides.items():
                    found = self.run(case, side)
                    self.keep(self.runs, (case.name, name), found, number, title, name, case.title)

    @staticmethod
    def keep(kept, key, found, number, *title):
        if number:
            kept.setdefault(key, []).append(found)
        figures = ", ".join(f"{name} {value:,.2f}" for name, value in found.items())
        print(f"{' · '.join(title)}: {figures}", flush=True)

    def start_up(self):
        """From the start of a process to the first record that its file sink writes; the connector is defined already."""
        self.broker.create("start-up", 1)
        for name, side in self.sides.items():
            path = str(self.folder / f"start-up-{name}.out")
            config = connector(FILE, name, "start-up", path, 0)
            self.broker.produce("start-up", orders(1))
            side.call("PUT", f"/connectors/start-up-{name}/config", config)
            self.watch(side, f"start-up-{name}", lambda: os.path.exists(path) and os.path.getsize(path))
            for number in range(1, ROUNDS + 1):
                time.sleep(1)
                side.stop()
                self.broker.produce("start-up", orders(1))
                size, begun = os.path.getsize(path), time.monotonic()
                side.start()
                until(f"{name}: first record", lambda: os.path.getsize(path) > size, 120, 0.001)
                found = {"seconds": time.monotonic() - begun}
                self.keep(self.starts, name, found, number, f"start {number}", name)
                side.wait_ready()


def main():
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    parent = "/dev/shm" if shutil.disk_usage("/dev/shm").free > 4 * RECORDS * 300 else None
    with tempfile.TemporaryDirectory(prefix="millrace-bench-", dir=parent) as folder:
        with tempfile.TemporaryDirectory(prefix="millrace-bench-") as disk:
            needs_registry = any(case.only for case in CASES if not CHOSEN or case.name in CHOSEN)
            broker = Broker(disk, needs_registry)
            bench = Bench(pathlib.Path(folder), disk, broker)
            begun, load = time.monotonic(), os.getloadavg()[0]
            try:
                bench.prepare()
                bench.throughput()
                bench.start_up()
            finally:
                bench.stop()
                broker.stop()
    text = report.write(OUT, bench, RECORDS, ROUNDS, load, time.monotonic() - begun)
    print(text)


if __name__ == "__main__":
    main()
