"""Medians, ratios, RESULTS.md and its picture."""

import os
import pathlib
import platform
import statistics
import subprocess

import mongodb

HERE = pathlib.Path(__file__).parent
LABELS = {"connect": "Kafka Connect", "millrace": "Millrace", "limit": "bare librdkafka loop"}
COLOURS = {"connect": "#b5b5b5", "millrace": "#1f6feb", "limit": "#2da44e"}


def median(runs, what):
    return statistics.median(run[what] for run in runs) if runs else None


def spread(runs, what, digits):
    """Median, and least and most in parentheses."""
    if not runs:
        return "–"
    values = [run[what] for run in runs]
    show = lambda value: f"{value:,.{digits}f}"  # noqa: E731
    return f"{show(statistics.median(values))} ({show(min(values))}–{show(max(values))})"


def ratio(one, other):
    return "–" if not one or not other else f"{one / other:.2f}"


def machine():
    def first(path, word):
        lines = pathlib.Path(path).read_text().splitlines()
        return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(word)), "unknown")

    memory = int(first("/proc/meminfo", "MemTotal").split()[0]) / 1024 / 1024
    java = subprocess.run(["java", "-version"], capture_output=True, text=True).stderr.splitlines()
    return (
        f"{os.cpu_count()} × {first('/proc/cpuinfo', 'model name')}, {memory:.0f} GiB of memory, Linux {platform.release()}; "
        f"broker, workers and this script share it. {java[0] if java else ''}"
    )


def table(bench):
    rows = [
        "| path | Kafka Connect, CPU-s/M | Millrace, CPU-s/M | ratio | Kafka Connect, records/s | Millrace, records/s | ratio "
        "| peak MiB, Connect | peak MiB, Millrace |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for case in bench.cases:
        theirs, ours = (bench.runs.get((case.name, side), []) for side in ("connect", "millrace"))
        cells = [case.title]
        for what, digits in (("cpu", 2), ("rate", 0)):
            cells += [spread(theirs, what, digits), spread(ours, what, digits)]
            cells.append(f"**{ratio(median(ours, what), median(theirs, what))}**")
        cells += [f"{median(runs, 'memory'):,.0f}" if runs else "–" for runs in (theirs, ours)]
        rows.append("| " + " | ".join(cells) + " |")
    return rows


def limits(bench):
    rows = ["| topic | bare librdkafka loop, CPU-s/M | records/s | Millrace String → null, CPU | records/s |", "|---|---|---|---|---|"]
    for topic, runs in bench.limits.items():
        ours = bench.runs.get(("string-null", "millrace"), []) if topic.startswith("orders,") or topic == "orders" else []
        cpu = ratio(median(ours, "cpu"), median(runs, "cpu"))
        rate = ratio(median(ours, "rate"), median(runs, "rate"))
        rows.append(f"| {topic} | {spread(runs, 'cpu', 2)} | {spread(runs, 'rate', 0)} | × {cpu} | × {rate} |")
    return rows


def starts(bench):
    rows = ["| start of the process to the first record | s |", "|---|---|"]
    return rows + [f"| {LABELS[name]}, cold | {spread(runs, 'seconds', 2)} |" for name, runs in bench.starts.items()]


def targets(bench):
    """What was to be reached, and whether it was."""
    rows = ["| target | is | |", "|---|---|---|"]

    def line(what, value, reached, digits=2):
        if value is not None:
            rows.append(f"| {what} | {value:,.{digits}f} | {'reached' if reached(value) else '**missed**'} |")

    def of(case, side, what):
        return median(bench.runs.get((case, side), []), what)

    def over(one, other):
        return one / other if one and other else None

    limit = bench.limits.get("orders", [])
    line("String → null: CPU at most 1.15 × the bare loop", over(of("string-null", "millrace", "cpu"), median(limit, "cpu")), lambda r: r <= 1.15)
    line("String → null: records/s at least 0.9 × the bare loop", over(of("string-null", "millrace", "rate"), median(limit, "rate")), lambda r: r >= 0.9)
    for case in bench.cases:
        if case.target:
            value = over(of(case.name, "millrace", "cpu"), of(case.name, "connect", "cpu"))
            line(f"{case.title}: CPU at most {case.target:.2f} × Kafka Connect", value, lambda r, most=case.target: r <= most)
    chain = over(of("json-chain-null", "millrace", "rate"), of("json-chain-null", "connect", "rate"))
    line("JSON, 4 transforms → null: records/s at least 5 × Kafka Connect", chain, lambda r: r >= 5)
    # Those of the record path alone: a store's driver has memory of its own.
    peaks = [of(case.name, "millrace", "memory") for case in bench.cases if not case.end.startswith("mongodb-")]
    line("peak memory of any path without a store at most 80 MiB", max((peak for peak in peaks if peak), default=None), lambda most: most <= 80, 0)
    line("start to the first record at most 0.5 s", median(bench.starts.get("millrace", []), "seconds"), lambda s: s <= 0.5)
    return rows


def picture(bench):
    """Horizontal bars of CPU-seconds per million records."""
    left, width, bar, gap = 230, 420, 16, 14
    groups = []
    for case in bench.cases:
        bars = [(side, median(bench.runs.get((case.name, side), []), "cpu")) for side in ("connect", "millrace")]
        if case.name == "string-null":
            bars.append(("limit", median(bench.limits.get("orders", []), "cpu")))
        groups.append((case.title, [(side, value) for side, value in bars if value]))
    most = max((value for _, bars in groups for _, value in bars), default=1)
    lines, y = [], 56
    for title, bars in groups:
        lines.append(f'<text x="{left - 8}" y="{y + len(bars) * bar / 2 + 4}" text-anchor="end">{title}</text>')
        for side, value in bars:
            length = value / most * width
            lines.append(f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{bar - 2}" fill="{COLOURS[side]}"/>')
            lines.append(f'<text x="{left + length + 5:.1f}" y="{y + 11}" class="n">{value:.2f}</text>')
            y += bar
        y += gap
    legend = "".join(
        f'<rect x="{left + 150 * n}" y="30" width="11" height="11" fill="{COLOURS[side]}"/>'
        f'<text x="{left + 150 * n + 16}" y="40">{LABELS[side]}</text>'
        for n, side in enumerate(LABELS)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 60}" height="{y}" font-family="sans-serif" font-size="12">'
        "<style>.n{font-size:11px;fill:#555}</style>"
        f'<rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="8" y="18" font-size="14">CPU-seconds of the worker per million records (less is better)</text>'
        f"{legend}{''.join(lines)}</svg>\n"
    )


def write(folder, bench, records, rounds, load, seconds):
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=HERE).stdout.strip()
    text = "\n".join(
        [
            "# Kafka Connect, Millrace and the limit",
            "",
            "Written by `make bench` ([what is measured](README.md)). Medians, with least and most in parentheses, of "
            f"{rounds} rounds after a warm-up; {records:,} records per run (half as many with schemas, a fifth with MongoDB), 4 partitions, one task. "
            f"Commit {commit or 'unknown'}; it took {seconds / 60:.1f} minutes; load of the machine before: {load:.1f}.",
            "",
            machine(),
            "",
            "![CPU-seconds per million records](results.svg)",
            "",
            *table(bench),
            "",
            *limits(bench),
            "",
            *mongodb.table(bench),
            *starts(bench),
            "",
            *targets(bench),
            "",
        ]
    )
    (folder / "RESULTS.md").write_text(text)
    (folder / "results.svg").write_text(picture(bench))
    return text
