"""Runs cases in interleaved rounds: A B C, A B C, … A case is one command, which prints
lines of name=value. A round during which other processes took more than NOISE of the machine
is marked."""

import json
import os
import resource
import subprocess
import sys
import time

NOISE = 0.03
PATIENCE = 10  # seconds; a round takes one, but for some peers with 10 000 threads
TICKS = os.sysconf("SC_CLK_TCK")
SKIPPED = 77


class Case:
    """One thing to measure: what it is called (keys, in order), the command, and which line
    of its output counts (all whose fields hold `pick`)."""

    def __init__(self, keys, command, pick=None, patience=PATIENCE, fine=(0,)):
        self.keys, self.patience, self.fine = keys, patience, fine
        self.command = [str(word) for word in command]
        self.pick = pick or {}
        self.rounds = []  # a dict of fields each
        self.noisy = 0
        self.skipped = None

    def label(self):
        return " ".join(f"{name}={value}" for name, value in self.keys.items())


def busy_and_all():
    """Processor time that the machine spent at work, or was robbed of, and all there was,
    in seconds; None where the system does not tell."""
    try:
        with open("/proc/stat") as stat:
            ticks = [int(word) for word in stat.readline().split()[1:9]]
    except OSError:
        return None
    idle = ticks[3] + ticks[4]
    return (sum(ticks) - idle) / TICKS, sum(ticks) / TICKS


def children_cpu():
    use = resource.getrusage(resource.RUSAGE_CHILDREN)
    return use.ru_utime + use.ru_stime


def others_share(before, after, own):
    """The share of the machine that others took; the clock ticks, so two ticks are let go."""
    if before is None or after is None or after[1] <= before[1]:
        return 0.0
    others = after[0] - before[0] - own - 2 / TICKS
    return max(0.0, others) / (after[1] - before[1])


def fields_of(line):
    fields = {}
    for word in line.split():
        name, equals, value = word.partition("=")
        if not equals:
            continue
        try:
            fields[name] = float(value)
        except ValueError:
            fields[name] = value
    return fields


def picked(output, pick):
    """The fields of the line that holds pick; of antpool-size those of the row it chose."""
    if output.startswith("{"):
        row = next(row for row in json.loads(output)["sweep"] if row["chosen"])
        return {"measured": row["measured"]["p99_wait_ms"], "twin": row["twin"]["p99_wait_ms"],
                "apart": abs(row["measured"]["p99_wait_ms"] - row["twin"]["p99_wait_ms"]),
                "late": row["run"]["late_p99_ms"], "late_max": row["run"]["late_max_ms"]}
    for line in output.splitlines():
        fields = fields_of(line)
        if all(fields.get(name) == value for name, value in pick.items()) and fields:
            return fields
    return None


def skip(cases, why):
    for case in cases:
        case.skipped = why


def run_once(cases):
    """cases: those whose figures one run of their command prints."""
    first = cases[0]
    before, own = busy_and_all(), children_cpu()
    try:
        done = subprocess.run(first.command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=first.patience)
    except subprocess.TimeoutExpired:
        skip(cases, f"{first.label()}: not done after {first.patience} s")
        return
    noise = others_share(before, busy_and_all(), children_cpu() - own)
    if done.returncode == SKIPPED:
        skip(cases, done.stderr.strip())
        return
    for case in cases:
        fields = picked(done.stdout, case.pick)
        if done.returncode not in case.fine or fields is None:
            sys.exit(f"bench: FAIL: {' '.join(case.command)}: {done.stderr.strip() or 'no figures'}")
        case.rounds.append(fields)
        case.noisy += noise > NOISE


class Progress:
    """A line on a terminal, nothing in a pipe."""

    def __init__(self, steps):
        self.steps, self.done, self.begin = steps, 0, time.monotonic()
        self.shown = sys.stderr.isatty()

    def step(self, text):
        if self.shown:
            spent = time.monotonic() - self.begin
            left = spent / self.done * (self.steps - self.done) if self.done else 0
            sys.stderr.write(f"\r\033[K{100 * self.done // self.steps:3d} %, {left / 60:.0f} min left: {text[:60]}")
            sys.stderr.flush()
        self.done += 1

    def clear(self):
        if self.shown:
            sys.stderr.write("\r\033[K")


def by_command(cases):
    groups = {}
    for case in cases:
        groups.setdefault(tuple(case.command), []).append(case)
    return list(groups.values())


def run_all(cases, rounds, progress):
    """Each round starts one command further on, so that none always follows the same one."""
    groups = by_command(cases)
    for i in range(rounds):
        start = i % len(groups)
        for group in groups[start:] + groups[:start]:
            progress.step(group[0].label())
            if group[0].skipped is None:
                run_once(group)
    progress.clear()
