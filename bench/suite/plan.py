"""What is measured: a section for each question, its cases, and how its table looks."""

import os

from rounds import Case


class Metric:
    """A field of the programs' output. `better` is more, less, or neither."""

    def __init__(self, field, title, unit, better, shown=True):
        self.field, self.title, self.unit, self.better, self.shown = field, title, unit, better, shown


class Section:
    def __init__(self, name, title, rows, columns, metrics, cases, rounds=None):
        self.name, self.title, self.rows, self.columns = name, title, rows, columns
        self.metrics, self.cases, self.rounds = metrics, cases, rounds


RATE = Metric("rate", "Tasks a second", "tasks/s", "more")
THREADS = Metric("threads", "Threads", "threads", "neither", shown=False)
EFFICIENCY = Metric("efficiency", "Share of what bare threads do in the same round", "share", "more")


class Plan:
    """Builds the sections for a folder of programs. quick: less time each, fewer cases."""

    def __init__(self, folder, peers, quick):
        self.folder, self.peers, self.quick = folder, peers, quick
        self.ms = 60 if quick else 80

    def program(self, question, subject):
        if subject == "antpool":
            return [os.path.join(self.folder, question)]
        return [os.path.join(self.folder, f"{question}-{subject}")]

    def throughput(self, subject, keys, *more):
        options = []
        for name, value in keys.items():
            options += ["--" + name.replace("_", "-"), value]
        return Case({"subject": subject, **keys},
                    self.program("throughput", subject) + ["--ms", self.ms] + options + list(more))

    def subjects(self):
        return ["antpool"] + self.peers

    # ---- Sections ----

    def empty(self):
        caps = [(1, 0), (2, 0), (2, 1024), (8, 0), (64, 0), (1000, 0), (1000, 1024), (10000, 0), (-1, 0)]
        if not self.quick:
            caps += [(1, 1024), (8, 1024), (64, 1024), (10000, 1024)]
        cases = [self.throughput("antpool", {"cap": cap, "queue": queue, "submitters": submitters})
                 for cap, queue in sorted(caps, key=lambda shape: (shape[1], shape[0] % (1 << 31)))
                 for submitters in ((1, 4) if self.quick else (1, 2, 4, 8))]
        return Section("throughput", "Empty tasks", ["cap", "queue"], ["submitters"], [RATE, THREADS], cases)

    def calls(self):
        cases = [self.throughput("antpool", {"call": call, "cap": cap, "queue": queue, "submitters": submitters})
                 for call in ("submit", "invoke", "copy", "many16", "many256")
                 for cap, queue in ((1000, 0), (2, 1024))
                 for submitters in (1, 4)]
        return Section("calls", "Empty tasks, by the call that submits them", ["call"],
                       ["cap", "queue", "submitters"], [RATE], cases)

    def contention(self):
        shapes = [("pool", 1, "-")] + [
            ("multipool", shards, strategy) for shards in (2, 4, 8) for strategy in
            ("round-robin", "least-tasks", "two-choices", "sticky") + (("counter", "key") if shards == 4 else ())]
        cases = []
        for submitters in (1, 4, 16):
            for subject, shards, strategy in sorted(shapes, key=lambda shape: shape[1]):
                options = {"cap": 64, "queue": 1024, "submitters": submitters}
                case = self.throughput("antpool" if subject == "pool" else subject, options,
                                       *([] if subject == "pool" else ["--shards", shards, "--strategy", strategy]))
                case.keys = {"subject": subject, "shards": shards, "strategy": strategy, "submitters": submitters}
                cases.append(case)
        return Section("contention", "Empty tasks, cap 64 and queue 1024 in all, from more and more submitters",
                       ["subject", "shards", "strategy"], ["submitters"], [RATE, THREADS], cases)

    def call_cost(self):
        names = ("submit", "try_submit", "invoke", "copy32", "many256")
        metrics = [Metric("amortised", "Submitter's side alone, ns per task", "ns", "less"),
                   Metric("p50", "One call, p50, ns", "ns", "less"),
                   Metric("p99", "One call, p99, ns", "ns", "neither")]
        program = [os.path.join(self.folder, "calls")]
        cases = [Case({"call": name}, program, {"call": name}) for name in names]
        return Section("call-cost", "What a submit call takes", ["call"], [], metrics, cases)

    def against_peers(self):
        shapes = [(1000, 0), (2, 1024), (2, 0)]
        cases = [self.throughput(subject, {"cap": cap, "queue": queue, "submitters": submitters})
                 for cap, queue in shapes for submitters in (1, 4) for subject in self.subjects()]
        return Section("peers", "Empty tasks, side by side", ["subject"], ["cap", "queue", "submitters"],
                       [RATE, THREADS], cases)

    def grain(self):
        own, shared = ((1000, 5000),) * 2 if self.quick else ((200, 1000, 5000, 20000, 100000), (200, 1000, 5000))
        cases = [self.throughput(subject, {"cap": 2, "queue": queue, "submitters": 1, "work_ns": grain}, "--bare", "--ms", 50)
                 for grain in own for subject in self.subjects() if subject == "antpool" or grain in shared
                 for queue in ((0, 1024) if subject == "antpool" or grain == 5000 else (1024,))]
        rounds = None if self.quick else 15  # the best are apart by less than 7 rounds can tell
        return Section("grain", "Tasks that burn processor time, cap 2", ["subject", "queue"], ["work_ns"],
                       [EFFICIENCY], cases, rounds)

    def crowd(self):
        cases = [self.throughput(subject, {"cap": 2, "queue": 1024, "submitters": submitters, "work_ns": grain}, "--bare")
                 for submitters, grain in ((3, 5000), (4, 5000), (8, 5000), (4, 1000)) for subject in self.subjects()]
        return Section("crowd", "Tasks that burn processor time, cap 2, queue 1024, more and more submitters", ["subject"],
                       ["work_ns", "submitters"], [EFFICIENCY], cases)

    def sleeping(self, subject, cap, sleep_ms, prestart):
        tasks = min(50 * cap, 50000) if sleep_ms == 10 else 100 * min(cap, 1000)
        keys = {"subject": subject, "cap": cap, "sleep_ms": sleep_ms, "workers": "prestarted" if prestart else "on demand"}
        command = self.program("throughput", subject) + [
            "--ms", 0, "--tasks", tasks, "--cap", cap, "--sleep-us", sleep_ms * 1000]
        if subject == "antpool" and cap <= 1000:  # it takes as long again; the ideal is cap / sleep_ms
            command.append("--bare")
        return Case(keys, command + (["--prestart", cap] if prestart else []))

    def blocking(self):
        cases = [self.sleeping("antpool", cap, sleep_ms, False) for cap in (100, 1000, 10000) for sleep_ms in (1, 10)]
        cases += [self.sleeping(subject, cap, 10, True) for cap in (1000, 10000) for subject in self.subjects()]
        metrics = [RATE, EFFICIENCY, Metric("rss_kib", "Most memory, KiB", "KiB", "less")]
        return Section("blocking", "Tasks that sleep", ["subject", "workers"], ["cap", "sleep_ms"], metrics, cases)

    def latency(self):
        cases = [Case({"subject": subject, "rate": rate},
                      self.program("latency", subject) + [
                          "--rate", rate, "--prestart", 8, "--ms", 200 if self.quick else 250])
                 for rate in (1000, 20000, 100000) for subject in self.subjects()]
        metrics = [Metric("p50", "From the submit call to the start, p50, µs", "µs", "less"),
                   Metric("p99", "… p99, µs", "µs", "less"),
                   Metric("p999", "… p99.9, µs", "µs", "neither"),
                   Metric("due50", "From the planned instant, p50, µs", "µs", "neither"),
                   Metric("due99", "… p99, µs", "µs", "neither"),
                   Metric("cpu", "Processor time per task, µs", "µs", "less")]
        return Section("latency", "Latency at a steady rate", ["subject"], ["rate"], metrics, cases,
                       None if self.quick else 11)  # one stall of the machine makes the p99 of a round

    # ---- What a pool costs beside time: few rounds, since little of it is chance ----

    def own(self, program, keys, options, pick=None):
        return Case(keys, [os.path.join(self.folder, program)] + options, pick, patience=100)

    def churn(self):
        cases = [self.own("churn", {"tasks": tasks, "other pools": beside},
                          ["--pools", 200, "--tasks", tasks, "--beside", beside])
                 for tasks in (0, 1, 100) for beside in (0, 1)]
        metrics = [Metric("all50", "Make, use and end a pool, p50, µs", "µs", "less"),
                   Metric("make50", "of that, to make it", "µs", "less"),
                   Metric("all99", "p99, µs", "µs", "neither")]
        return Section("churn", "Making, using and ending pools", ["tasks"], ["other pools"], metrics, cases)

    def alive(self):
        count = 1000 if self.quick else 10000
        case = self.own("churn", {"pools": count}, ["--alive", count])
        metrics = [Metric("rss", "Memory of an idle pool, bytes", "bytes", "less"),
                   Metric("rest_threads", "Threads at rest, the janitor among them", "threads", "less"),
                   Metric("rest_switches", "Context switches in 2 s of rest", "switches", "less"),
                   Metric("rest_cpu", "Processor time in 2 s of rest, µs", "µs", "less"),
                   Metric("end", "To end one, µs", "µs", "less")]
        return Section("alive", "Many pools alive at once", ["pools"], [], metrics, [case], 3)

    def memory(self):
        items = [("idle-worker", 0, "idle"), ("bare-thread", 0, "idle"), ("worked-worker", 0, "idle"),
                 ("worked-worker", 1, "idle"), ("touched-worker", 0, "idle"), ("touched-worker", 0, "gone"),
                 ("touched-thread", 0, "gone"), ("queued-task", 0, "-"), ("copied-task", 0, "-")]
        cases = [self.own("memory", {"item": item, "arenas": arenas or "default", "state": state}, [],
                          {"item": item, "arenas": arenas, "state": state}) for item, arenas, state in items]
        cases += [self.own("memory", {"item": "pool", "cap": cap, "state": "-"}, [],
                           {"item": "pool", "cap": cap}) for cap in (8, 1000)]
        metrics = [Metric("rss", "Resident bytes", "bytes", "less"),
                   Metric("pagetables", "Page tables, bytes", "bytes", "neither"),
                   Metric("kernel_stack", "Kernel stack, bytes (of the whole system, so others show)", "bytes", "neither")]
        return Section("memory", "Memory for each", ["item", "arenas", "cap", "state"], [], metrics, cases, 1)

    def idle(self):
        seconds = 2 if self.quick else 10
        cases = [self.own("idle", {"idle workers": workers}, ["--seconds", seconds, "--workers", 8], {"workers": workers})
                 for workers in (0, 8)]
        metrics = [Metric("switches", f"Context switches in {seconds} s", "switches", "less"),
                   Metric("cpu", "Processor time, s", "s", "less")]
        return Section("idle", "At rest", ["idle workers"], [], metrics, cases, 1)

    def tenants(self):
        cases = [self.own("tenants", {"bulkheads": bulkheads, "flood a second": flood},
                          ["--bulkheads", bulkheads, "--flood-rate", flood, "--seconds", 1])
                 for bulkheads in ("on", "off") for flood in (1, 100000)]
        metrics = [Metric("p50", "The others, from the planned instant to the start, p50, µs", "µs", "neither"),
                   Metric("p99", "p99, µs", "µs", "less"),
                   Metric("p999", "p99.9, µs", "µs", "neither"),
                   Metric("refused", "Of 10 000 tasks of the others, refused", "tasks", "less"),
                   Metric("threads", "Threads", "threads", "neither"),
                   Metric("cpu", "Processor time, s", "s", "neither")]
        return Section("tenants", "1000 tenants with 10 000 tasks a second in all, and one that floods",
                       ["bulkheads"], ["flood a second"], metrics, cases)

    def twin(self):
        """How close a real pool comes to its twin. Only where it is asked for: it takes minutes."""
        cases = [Case({"cap": cap, "rate": rate, "service_ms": service, "seed": seed},
                      [os.path.join(self.folder, "antpool-size"), "--seed", seed, "--rate", rate, "--service",
                       f"exp:{service}ms", "--cap", cap, "--sweep", 1, "--simulate", 1000,
                       "--duration", "2s" if self.quick else "10s", "--json"],
                      patience=100, fine=(0, 3))  # 3: the generator was late, which `late` shows
                 for cap, rate, service in ((10, 160, 50), (64, 1000, 50), (220, 1000, 200)) for seed in (1, 2, 3)]
        metrics = [Metric("measured", "Wait of the pool, p99, ms", "ms", "neither"),
                   Metric("twin", "of its twin", "ms", "neither"),
                   Metric("apart", "apart", "ms", "less"),
                   Metric("late", "99 % of the submits came at most so late, ms", "ms", "neither"),
                   Metric("late_max", "all of them", "ms", "neither")]
        return Section("twin", "antpool-size: the measured p99 wait and the twin's, tasks by chance", ["cap", "rate", "service_ms", "seed"],
                       [], metrics, cases, 3)

    def guide(self):
        rows = [("guide", "pool"), ("guide", "invoke"), ("guide", "multipool")]
        if self.peers and os.path.exists(os.path.join(self.folder, "guide-go")):
            rows += [("guide-go", row) for row in ("plain", "errgroup", "errgroup-limit", "semaphore")]
        cases = [self.own(program, {"subject": "antpool" if program == "guide" else "go", "row": row}, ["--row", row])
                 for program, row in rows]
        metrics = [Metric("ops", "Tasks a second", "tasks/s", "more"),
                   Metric("submit50", "The submit call, p50, ns", "ns", "less"),
                   Metric("submit99", "p99, ns", "ns", "neither"),
                   Metric("threads", "Most threads", "threads", "neither"),
                   Metric("rss_kib", "Most memory, KiB", "KiB", "neither")]
        return Section("guide", "The guide's table, measured: empty tasks, 1000 at once", ["subject", "row"], [],
                       metrics, cases)

    def all(self):
        return [self.empty(), self.calls(), self.call_cost(), self.against_peers(), self.contention(), self.grain(),
                self.crowd(),
                self.blocking(), self.latency(), self.churn(), self.alive(), self.memory(), self.idle(),
                self.tenants(), self.guide(), self.twin()]
