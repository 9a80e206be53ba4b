"""The two workers under measurement: how each is started, asked and stopped."""

import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVERS = ROOT / "deploy/local/servers"
TICKS = os.sysconf("SC_CLK_TCK")
LIMIT = 300


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_offset(*ports):
    """What to add to ports so that all are free, below those from which the kernel takes ports of outgoing connections."""
    offsets = random.sample(range(1000, 20000, 10), 100)
    return next(offset for offset in offsets if all(port + offset < 32768 and is_free(port + offset) for port in ports))


def until(what, check, limit=LIMIT, pause=0.002):
    """The first true answer of `check`; an error when there is none in time."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        answer = check()
        if answer:
            return answer
        time.sleep(pause)
    raise RuntimeError(f"{what}: not within {limit} s")


def cpu_seconds(pid):
    """User and system time of a process."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Side:
    """A worker process with Kafka Connect's REST interface."""

    name = ""

    def __init__(self, folder, bootstrap):
        self.folder = pathlib.Path(folder) / self.name
        self.folder.mkdir(exist_ok=True)
        self.bootstrap = bootstrap
        self.port = free_port()
        self.process = None

    def command(self):
        raise NotImplementedError

    def start(self):
        """Starts the process without waiting for it."""
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen(
            self.command(), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )

    def wait_ready(self):
        until(f"{self.name} answers", self._answers, 120, 0.05)

    def _answers(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} has ended; see {self.folder / 'log'}:\n{self.log_tail()}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/connectors", timeout=10) as answer:
                return answer.status == 200
        except OSError:
            return False  # HTTP errors are OSErrors too: a worker that has not joined its group yet

    def log_tail(self):
        return "\n".join((self.folder / "log").read_text(errors="replace").splitlines()[-15:])

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def call(self, method, path, body=None):
        """A REST call; a worker that is busy with a rebalance (409, 500) is asked again."""
        data = None if body is None else json.dumps(body).encode()
        for _ in range(60):
            request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, method=method)
            request.add_header("Content-Type", "application/json")
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    return json.loads(answer.read() or b"null")
            except urllib.error.HTTPError as error:
                text = error.read().decode(errors="replace")
                if error.code not in (409, 500):
                    raise RuntimeError(f"{self.name}: {method} {path}: {error.code} {text}") from error
                time.sleep(0.5)
        raise RuntimeError(f"{self.name}: {method} {path} does not succeed")

    def failed_task(self, connector):
        """Why a task has failed, if one has."""
        try:
            tasks = self.call("GET", f"/connectors/{connector}/status")["tasks"]
        except RuntimeError:
            return None  # not there yet
        return next((task.get("trace", "no reason") for task in tasks if task["state"] == "FAILED"), None)

    def reset_peak(self):
        """From here on the peak of memory is counted anew."""
        pathlib.Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def memory_mib(self):
        """Peak of resident memory since the last reset, MiB."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
        return 0.0

    def cpu(self):
        return cpu_seconds(self.process.pid)


class Connect(Side):
    """The real Kafka Connect, distributed mode, with the JVM flags of its own start script."""

    name = "connect"

    def __init__(self, folder, bootstrap):
        super().__init__(folder, bootstrap)
        local = ROOT / "deploy/local"
        shell = f'LOCAL={local}; for p in common install connect; do . "$LOCAL/lib/$p.sh"; done; java_home 17; echo $CONNECT_FOLDER'
        home, self.installed = subprocess.run(
            ["bash", "-c", shell], check=True, capture_output=True, text=True
        ).stdout.split()
        self.java = f"{home}/bin/java"
        subprocess.run([ROOT / "tests/connect-plugin/build", self.folder / "plugins/test"], check=True)
        for plugin in ("file", "mongodb", "apicurio"):
            (self.folder / "plugins" / plugin).symlink_to(f"{self.installed}/plugins/{plugin}")
        (self.folder / "worker.properties").write_text(self.properties())

    def properties(self):
        storage = "".join(
            f"{kind}.storage.topic=bench-connect-{kind}\n{kind}.storage.replication.factor=1\n"
            for kind in ("config", "offset", "status")
        )
        return (
            f"bootstrap.servers={self.bootstrap}\ngroup.id=bench-connect\nlisteners=http://127.0.0.1:{self.port}\n"
            f"rest.advertised.host.name=127.0.0.1\nrest.advertised.port={self.port}\n"
            f"plugin.path={self.folder}/plugins\nplugin.discovery=service_load\n"
            "key.converter=org.apache.kafka.connect.storage.StringConverter\n"
            "value.converter=org.apache.kafka.connect.json.JsonConverter\nvalue.converter.schemas.enable=false\n"
            "offset.storage.partitions=5\nstatus.storage.partitions=3\n" + storage
        )

    def command(self):
        flags = (
            "-Xms256m -Xmx512m -server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 "
            "-XX:+ExplicitGCInvokesConcurrent -XX:MaxInlineLevel=15 -Djava.awt.headless=true"
        )
        path = f"{ROOT}/deploy/local/java:{self.installed}/worker/*"
        main = "org.apache.kafka.connect.cli.ConnectDistributed"
        return [self.java, *flags.split(), "-cp", path, main, "worker.properties"]


class Millrace(Side):
    """Both planes of Millrace in one process, with default settings."""

    name = "millrace"

    def __init__(self, folder, bootstrap):
        super().__init__(folder, bootstrap)
        self.binary = pathlib.Path(os.environ["BENCH_BIN"]) / "millrace"
        self.metrics = free_port()
        self.grpc = free_port()

    def command(self):
        command = [self.binary, "standalone", "--bootstrap-servers", self.bootstrap, "--data-dir", "data", "--log", "warn"]
        for name, port in (("rest", self.port), ("grpc", self.grpc), ("metrics", self.metrics)):
            command += [f"--{name}-listen", f"127.0.0.1:{port}"]
        return command

    def written(self, connector):
        """How many records the connector has written, as its metrics say."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        label = f'connector="{connector}"'
        lines = (line for line in text.splitlines() if line.startswith("millrace_sink_records_total{") and label in line)
        return sum(int(float(line.rsplit(" ", 1)[1])) for line in lines)
