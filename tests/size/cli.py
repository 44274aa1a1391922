"""antpool-size from outside: cli.py PATH-OF-ANTPOOL-SIZE [unittest arguments]

golden/*.txt hold a command line after "$ " and what it prints; UPDATE_GOLDEN=1 writes them anew.
"""

import csv
import io
import json
import os
import pty
import re
import resource
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN = os.path.join(HERE, "golden")
SOURCES = ("formula", "simulation", "measured", "twin")
program = None

MET, NOT_MET, USAGE, NOT_CERTIFIABLE, UNABLE = range(5)


def run(*words, stdin=""):
    return subprocess.run([program, *words], input=stdin, capture_output=True, text=True, timeout=110, cwd=HERE)


def json_of(*words, code=None):
    done = run(*words, "--json")
    assert code is None or done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return json.loads(done.stdout)


# A goal that any machine meets, on a run of a second.
EASY = ("--rate", "3000", "--service", "fixed:2ms", "--goal", "p99-wait=900ms", "--duration", "600ms",
        "--simulate", "50000")
SHORT = ("--rate", "300", "--service", "lognormal:5ms,0.5", "--goal", "p99-wait=20ms", "--duration", "200ms",
         "--simulate", "20000")


class Golden(unittest.TestCase):
    def test_outputs_are_as_before(self):
        names = sorted(os.listdir(GOLDEN))
        self.assertTrue(names)
        for name in names:
            path = os.path.join(GOLDEN, name)
            with open(path) as file:
                command, _, expected = file.read().partition("\n")
            done = run(*command.removeprefix("$ antpool-size ").split())
            with self.subTest(name):
                self.assertEqual(done.stderr, "")
                if os.environ.get("UPDATE_GOLDEN"):
                    with open(path, "w") as file:
                        file.write(command + "\n" + done.stdout)
                else:
                    self.assertEqual(done.stdout, expected)


class BadInput(unittest.TestCase):
    """Each ends with 2, prints nothing but what is wrong, and names it."""

    ERLANG = ("erlang", "--rate", "1000", "--service", "200ms")
    CASES = [
        ((), "--service is missing"),
        (("erlang",), "--service is missing"),
        (("erlang", "--service", "200ms", "--goal", "p-wait=1%"), "--rate is missing"),
        (ERLANG, "--goal is missing"),
        (("nonsense",), '"nonsense" is not understood'),
        (ERLANG + ("--cap", "1", "more"), '"more" is not understood'),
        (ERLANG + ("--cap", "0"), '--cap: "0"'),
        (ERLANG + ("--cap", "-5"), '--cap: "-5"'),
        (ERLANG + ("--cap", "12x"), '--cap: "12x"'),
        (ERLANG + ("--cap", "99999999999999999999"), "--cap: "),
        (ERLANG + ("--cap",), "--cap needs a value"),
        (ERLANG + ("--bogus",), "--bogus is no option"),
        (("-xy",), "-x is no option"),
        (ERLANG + ("--json=yes",), "--json=yes: this option takes no value"),
        (ERLANG + ("--goal", "p99-wait=" + 300 * "0" + "50ms"), "too long"),
        (("erlang", "--rate", "1", "--service", "fo\no\x1b[2J"), '"fo?o?[2J"'),
        (("usl", "--service", "1ms", "--seed", "1"), "--seed"),
        (ERLANG + ("--goal", "p99-wait"), '--goal: "p99-wait"'),
        (ERLANG + ("--goal", "p99-wait=50"), "no unit"),
        (ERLANG + ("--goal", "p98-wait=50ms"), "p99-wait"),
        (ERLANG + ("--goal", "reject=50ms"), "--goal: "),
        (ERLANG + ("--goal", "reject=0%"), "--goal: "),
        (ERLANG + ("--goal", "utilisation=120%"), "--goal: "),
        (ERLANG + ("--goal", "drain=30s"), "--backlog"),
        (ERLANG + ("--goal", "p-wait=1%") * 9, "8 goals"),
        (ERLANG + ("--cap", "1", "--queue", "-1"), '--queue: "-1"'),
        (ERLANG + ("--cap", "1", "--memory", "lots"), '--memory: "lots"'),
        (ERLANG + ("--cap", "1", "--fds-per-task", "0"), "--fds-per-task: "),
        (ERLANG + ("--cap", "1", "--csv"), "--csv"),
        (ERLANG + ("--cap", "1", "--duration", "1s"), "--duration"),
        (ERLANG + ("--cap", "1", "--instances", "3"), "--downstream"),
        (("erlang", "--rate", "0", "--service", "200ms", "--cap", "1"), '--rate: "0"'),
        (("erlang", "--rate", "-1", "--service", "200ms", "--cap", "1"), '--rate: "-1"'),
        (("erlang", "--rate", "nan", "--service", "200ms", "--cap", "1"), '--rate: "nan"'),
        (("erlang", "--rate", "10", "--service", "0ms", "--cap", "1"), "--service: "),
        (("erlang", "--rate", "10", "--service", "200", "--cap", "1"), '"200"'),
        (("erlang", "--rate", "10", "--service", "fixed:200ms", "--cap", "1"), "exponential"),
        (("--rate", "10", "--service", "gamma:1ms", "--cap", "1"), "lognormal:"),
        (("--rate", "10", "--service", "lognormal:1ms", "--cap", "1"), "--service: "),
        (("--rate", "10", "--service", "bimodal:1ms,2ms", "--cap", "1"), "--service: "),
        (("--rate", "10", "--service", "trace:/nonexistent", "--cap", "1"), "/nonexistent"),
        (("--rate", "10", "--service", "plugin:/nonexistent.so", "--cap", "1"), "/nonexistent.so"),
        (("--rate", "10", "--service", "exec:", "--cap", "1"), "--service: "),
        (("--rate", "10", "--service", "1ms", "--cap", "1", "--cpu=0"), "--cpu: "),
        (("--rate", "10", "--service", "1ms", "--cap", "1", "--arrivals", "bursts"), "poisson"),
        (("--rate", "10", "--service", "1ms", "--cap", "1", "--seed", "x"), "--seed: "),
        (("--rate", "10", "--service", "1ms", "--cap", "1", "--svg", "/nonexistent/a.svg"), "/nonexistent/a.svg"),
        (("--rate", "10", "--service", "1ms", "--goal", "reject=1%", "--goal", "p-wait=1%"), "--queue"),
        (("--rate", "10", "--service", "1ms", "--cap", "1", "--sweep", "4"), "1, 3 or 5"),
        (("--rate", "10", "--service", "1ms", "--cap", "1", "--simulate", "10"), "--simulate: "),
        (("usl",), "usl takes"),
        (("usl", "/nonexistent"), "/nonexistent"),
        (("usl", "--service", "1ms", "--caps", "1,2"), "at least three"),
        (("usl", "--service", "1ms", "--caps", "1,2,x"), '"x"'),
    ]

    def test_is_named_and_changes_nothing(self):
        for words, part in self.CASES:
            with self.subTest(" ".join(words)):
                done = run(*words)
                self.assertEqual(done.returncode, USAGE, done.stderr)
                self.assertIn(part, done.stderr)
                self.assertTrue(done.stderr.startswith("antpool-size: "))
                self.assertEqual(done.stderr.count("\n"), 1)
                self.assertEqual(done.stdout, "")

    def test_points_that_determine_no_curve(self):
        for text in ("", "1 100\n2 200\n", "1 100\n1 100\n2 150\n", "1 0\n2 0\n3 0\n"):
            self.assertEqual(run("usl", "-", stdin=text).returncode, USAGE, text)
        self.assertIn("line 3", run("usl", "-", stdin="1 100\n# " + 300 * "9 " + "\n2\n").stderr)
        self.assertIn("directory", run("usl", HERE).stderr)

    def test_a_full_disk_is_an_error(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([program, *self.ERLANG, "--cap", "220"], stdout=full, stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, UNABLE)

    # Else the first file that is opened is standard output, here the chart.
    def test_a_closed_output_is_an_error(self):
        with tempfile.TemporaryDirectory() as folder:
            words = [program, *SHORT, "--sweep", "1", "--svg", os.path.join(folder, "a.svg")]
            done = subprocess.run(["sh", "-c", '"$@" >&-', "sh", *words], stderr=subprocess.PIPE, text=True)
            self.assertEqual((done.returncode, os.listdir(folder)), (UNABLE, []))
            self.assertIn("closed", done.stderr)
            done = subprocess.run(["sh", "-c", '"$@" <&- 2>&-', "sh", *words], stdout=subprocess.PIPE)
            ElementTree.parse(words[-1])


class Erlang(unittest.TestCase):
    def cap(self, *goals, code=MET):
        words = [word for goal in goals for word in ("--goal", goal)]
        return json_of("erlang", "--rate", "1000", "--service", "200ms", *words, code=code)

    def test_keys_are_there(self):
        keys = {"cap", "offered_load", "utilisation", "p_wait", "mean_wait_ms", "p50_wait_ms", "p95_wait_ms",
                "p99_wait_ms", "p999_wait_ms", "reject", "goal", "decided_by"}
        self.assertLessEqual(keys, set(self.cap("p-wait=1%")))

    def test_the_least_cap_that_meets_each_goal(self):
        for goal, cap in (("p-wait=1%", 235), ("reject=1%", 221), ("p99-wait=50ms", 214), ("utilisation=80%", 251)):
            answer = self.cap(goal)
            self.assertEqual((answer["cap"], answer["goal"], answer["decided_by"]), (cap, goal, goal))

    def test_the_hardest_of_several_goals_decides(self):
        answer = self.cap("p99-wait=50ms", "p-wait=1%", "reject=1%")
        self.assertEqual((answer["cap"], answer["decided_by"]), (235, "p-wait=1%"))
        self.assertEqual([goal["cap"] for goal in answer["goals"]], [214, 235, 221])

    def test_what_another_load_needs(self):
        self.assertEqual([change["needs_cap"] for change in self.cap("p99-wait=50ms")["sensitivity"]], [254, 423, 286])

    def test_figures_of_a_given_cap(self):
        answer = json_of("erlang", "--rate", "1000", "--service", "200ms", "--cap", "220", code=MET)
        self.assertAlmostEqual(answer["p_wait"], 0.109, 3)
        self.assertAlmostEqual(answer["offered_load"], 200, 9)
        self.assertIsNone(answer["goal"])

    def test_an_unstable_load_is_named(self):
        answer = json_of("erlang", "--rate", "1000", "--service", "200ms", "--cap", "200")
        self.assertFalse(answer["stable"])
        self.assertEqual((answer["p_wait"], answer["p99_wait_ms"]), (1, None))
        self.assertIn("unstable", " ".join(answer["warnings"]))

    def test_a_cap_that_misses_its_goal_says_so(self):
        words = ("erlang", "--rate", "1000", "--service", "200ms", "--goal", "p99-wait=50ms")
        self.assertFalse(json_of(*words, "--cap", "213", code=NOT_MET)["met"])
        self.assertTrue(json_of(*words, "--cap", "214", code=MET)["met"])

    def test_a_goal_that_no_cap_meets(self):
        done = run("erlang", "--rate", "10", "--service", "200ms", "--goal", "p99-total=100ms")
        self.assertEqual(done.returncode, NOT_MET)
        self.assertIn("p99-total=100ms", done.stderr)

    def test_a_finite_queue_refuses(self):
        answer = json_of("erlang", "--rate", "100", "--service", "100ms", "--cap", "8", "--queue", "4")
        self.assertTrue(answer["stable"])
        self.assertGreater(answer["reject"], 0.2)

    def test_memory_decides_where_it_is_the_least(self):
        answer = json_of("erlang", "--rate", "1000", "--service", "200ms", "--goal", "p-wait=1%",
                         "--memory", "100MiB", "--per-task", "1MiB", code=NOT_MET)
        self.assertEqual((answer["cap"], answer["decided_by"], answer["allowed_cap"]), (100, "memory", 100))

    def test_cores_decide_where_tasks_compute(self):
        answer = json_of("erlang", "--rate", "100000", "--service", "200ms", "--goal", "p-wait=1%", "--cpu", code=NOT_MET)
        self.assertEqual(answer["decided_by"], "cores")
        answer = json_of("erlang", "--rate", "1", "--service", "1ms", "--goal", "utilisation=50%", "--cpu")
        self.assertIn("x 50% utilisation", next(limit["why"] for limit in answer["limits"] if limit["name"] == "cores"))

    def test_downstream_is_warned_about(self):
        answer = json_of("erlang", "--rate", "1000", "--service", "200ms", "--goal", "p99-wait=50ms",
                         "--downstream", "500", "--instances", "5")
        self.assertTrue(answer["downstream"]["exceeded"])
        self.assertEqual(answer["downstream"]["cap"], 100)
        self.assertAlmostEqual(answer["downstream"]["reject"], 0.5, 1)

    def test_a_drain_of_a_given_cap_needs_neither_rate_nor_goal(self):
        answer = json_of("erlang", "--service", "200ms", "--cap", "50", "--backlog", "100", code=MET)
        self.assertAlmostEqual(answer["drain_ms"], 200 + 200 * sum(1 / n for n in range(1, 51)), 6)

    def test_a_pool_that_only_refuses_is_asked_how_much_it_refuses_when_things_change(self):
        shown = run("erlang", "--rate", "100", "--service", "100ms", "--queue", "0", "--cap", "12").stdout
        self.assertRegex(shown, r"\nif +cap +reject ")

    def test_a_drain_goal_needs_no_rate(self):
        answer = json_of("erlang", "--service", "50ms", "--goal", "drain=60s", "--backlog", "1000000", code=MET)
        self.assertAlmostEqual(answer["cap"], 1000000 * 0.05 / 60, delta=10)

    # A total is longer than a wait, however near the load is to the cap.
    def test_a_total_near_saturation(self):
        answer = json_of("erlang", "--rate", "999.9995", "--service", "200ms", "--cap", "200")
        self.assertGreater(answer["p99_total_ms"], answer["p99_wait_ms"])
        self.assertLess(answer["p99_total_ms"], 1.01 * answer["p99_wait_ms"])

    def test_numbers_have_nine_digits(self):
        self.assertEqual(run("erlang", "--rate", "3", "--service", "1s", "--cap", "7", "--json").stdout.count("0.42857142857"), 1)


class Study(unittest.TestCase):
    def test_met(self):
        answer = json_of(*EASY, code=MET)
        self.assertEqual((answer["verdict"], answer["reasons"]), ("met", []))
        self.assertEqual([row["cap"] for row in answer["sweep"] if row["chosen"]], [answer["cap"]])
        for run in (row["run"] for row in answer["sweep"]):
            self.assertAlmostEqual(run["warmup_seconds"], 0.2 * run["seconds"])
            self.assertAlmostEqual(run["counted"], 0.8 * run["tasks"], delta=0.1 * run["tasks"])

    def test_not_met(self):
        answer = json_of(*EASY, "--cap", "5", "--duration", "100ms", code=NOT_MET)
        self.assertEqual(answer["verdict"], "not met")

    def test_a_sample_too_small_certifies_nothing_and_says_what_would_do(self):
        answer = json_of("--rate", "50", "--service", "fixed:2ms", "--goal", "p999-wait=900ms", "--duration", "300ms", "--simulate", "20000",
                         code=NOT_CERTIFIABLE)
        self.assertIn("--duration", answer["reasons"][0])

    def test_figures_of_the_recommended_cap_are_at_the_top(self):
        answer = json_of(*SHORT)
        chosen = next(row for row in answer["sweep"] if row["chosen"])
        self.assertEqual(answer["cap"], chosen["cap"])
        for source in SOURCES:
            self.assertIn("p99_wait_ms", chosen[source])
        self.assertEqual(answer["p99_wait_ms"], chosen["simulation"]["p99_wait_ms"])
        self.assertLess(chosen["simulation_error"]["utilisation"], 0.1)
        self.assertEqual(chosen["run"]["failed"], 0)
        self.assertLessEqual(chosen["run"]["late_p50_ms"], chosen["run"]["late_p99_ms"])
        self.assertLessEqual(chosen["run"]["late_p99_ms"], chosen["run"]["late_max_ms"])
        self.assertGreater(chosen["run"]["late_p99_ms"], 0.001)

    def test_a_goal_of_refusals_alone_lets_nobody_wait(self):
        self.assertEqual(json_of("--rate", "100", "--service", "10ms", "--goal", "reject=5%", "--duration", "100ms",
                                 "--sweep", "1")["queue"], 0)

    def test_the_table_and_the_chart_show_the_goal(self):
        lines = run(*SHORT, "--sweep", "3").stdout.splitlines()
        cap = int(next(line for line in lines if line.startswith("/*")).split()[2].rstrip(":"))
        self.assertEqual([int(line[1:8]) for line in lines if line.startswith(">")], [cap])
        begin = lines.index("p99-wait by cap, | the goal") + 1
        below, at, above = (line[18:] for line in lines[begin:begin + 3])
        self.assertEqual(below.index("|"), at.index("|"))
        self.assertIn("=|=", below)
        self.assertTrue(at.rstrip().endswith(" |") and above.rstrip().endswith(" |"))

    # 200 tasks find a cap for it, 1000 find that the service alone takes longer.
    def test_a_goal_that_only_a_short_simulation_meets_ends(self):
        done = run("--rate", "20", "--service", "lognormal:50ms,0.8", "--goal", "p99-total=225ms", "--simulate", "1000",
                   "--seed", "5", "--duration", "200ms", "--sweep", "1")
        self.assertEqual(done.returncode, NOT_MET, done.stderr)
        self.assertIn("longer", done.stderr)

    # 200 tasks find 6, more find 7.
    def test_a_longer_simulation_does_not_lift_the_cap_above_a_limit(self):
        answer = json_of("--rate", "1000", "--service", "lognormal:4ms,1", "--goal", "p99-wait=3ms", "--simulate", "1000",
                         "--seed", "3", "--duration", "50ms", "--sweep", "1", "--memory", "6MiB", "--per-task", "1MiB",
                         code=NOT_MET)
        self.assertEqual((answer["cap"], answer["decided_by"]), (6, "memory"))

    # Two workers would go on for 40 s.
    def test_a_run_that_would_not_end_soon_is_left_out(self):
        answer = json_of("--rate", "2000", "--service", "fixed:200ms", "--cap", "2", "--goal", "p99-wait=50ms",
                         "--simulate", "20000", "--duration", "200ms", "--sweep", "1", code=NOT_MET)
        self.assertNotIn("measured", answer["sweep"][0])
        self.assertIn("not measured", answer["reasons"][-1])
        answer = json_of("--rate", "5", "--service", "fixed:60s", "--cap", "350", "--simulate", "20000", "--duration", "200ms",
                         "--sweep", "1", code=NOT_CERTIFIABLE)
        self.assertNotIn("measured", answer["sweep"][0])
        json_of("--rate", "1e12", "--service", "1ms", "--goal", "drain=30s", "--backlog", "300", "--duration", "200ms", "--sweep", "1",
                code=NOT_CERTIFIABLE)

    def test_a_seed_gives_the_same_answer(self):
        first, second = (json_of(*SHORT, "--seed", "7") for _ in range(2))
        other = json_of(*SHORT, "--seed", "8")
        simulated = [[row["simulation"] for row in answer["sweep"]] for answer in (first, second, other)]
        self.assertEqual(simulated[0], simulated[1])
        self.assertNotEqual(simulated[0], simulated[2])
        large = json_of(*SHORT, "--sweep", "1", "--seed", "9007199254740993")
        self.assertEqual(large["seed"], 9007199254740993)
        self.assertEqual([row["run"]["tasks"] for row in first["sweep"]], [row["run"]["tasks"] for row in second["sweep"]])

    def test_a_sweep_has_as_many_caps_as_asked_for(self):
        for n in ("1", "3"):
            caps = [row["cap"] for row in json_of(*SHORT, "--cap", "9", "--sweep", n)["sweep"]]
            self.assertEqual(caps, {"1": [9], "3": [8, 9, 10]}[n])

    def test_it_is_quiet_in_a_pipe(self):
        self.assertEqual(run(*SHORT).stderr, "")

    def test_a_terminal_sees_progress_with_the_time_left(self):
        master, slave = pty.openpty()
        done = subprocess.run([program, *SHORT, "--sweep", "1"], stdout=subprocess.DEVNULL, stderr=slave, timeout=110)
        os.close(slave)
        shown = os.read(master, 1 << 16).decode()
        os.close(master)
        self.assertIn(done.returncode, (MET, NOT_CERTIFIABLE))
        self.assertRegex(shown, r"\[#*\.*\] measuring cap \d+, \d+ s left")
        self.assertTrue(shown.endswith("\r\x1b[K"), "the line is wiped off at the end")

    def test_the_line_is_a_comment(self):
        line = json_of(*SHORT)["line"]
        self.assertRegex(line, r"^/\* cap \d+: 300/s x 5\.00ms \(lognormal\), a=1\.5; goal p99 wait < 20ms; .* \*/$")

    def test_a_plugin_and_a_command_are_timed(self):
        plugin = os.path.join(os.path.dirname(program), "example_task.so")
        for service in (f"plugin:{plugin}", "exec:echo hello"):
            answer = json_of("--rate", "40", "--service", service, "--goal", "p95-wait=900ms", "--duration", "200ms",
                             "--simulate", "20000")
            self.assertGreater(answer["service_ms"], 0)

    def test_a_drain_is_measured(self):
        words = ("--service", "fixed:2ms", "--backlog", "200")
        self.assertEqual(json_of(*words, "--goal", "drain=100ms")["cap"], 5)
        answer = json_of(*words, "--goal", "drain=30s", "--cap", "5", code=MET)
        self.assertGreaterEqual(answer["drain_measured_ms"], 80)


# The limit binds no one but ordinary users, so it takes root to become one that has no other threads.
@unittest.skipUnless(os.getuid() == 0, "needs root")
class FewThreads(unittest.TestCase):
    def run_with(self, threads, *words):
        def limit():
            resource.setrlimit(resource.RLIMIT_NPROC, (threads, threads))
            os.setgroups([])
            os.setuid(65534)

        try:
            return subprocess.run([program, *words, "--duration", "100ms", "--simulate", "20000", "--json"],
                                  preexec_fn=limit, capture_output=True, text=True, timeout=110)
        except (PermissionError, subprocess.SubprocessError):
            self.skipTest("others may not run it")

    def test_caps_beside_the_answer_may_not_fit(self):
        done = self.run_with(14, "--rate", "100", "--service", "5ms", "--cap", "12")
        rows = json.loads(done.stdout)["sweep"]
        self.assertEqual([("measured" in row) for row in rows], [True, True, True, True, False], done.stderr)

    def test_the_limit_is_named_where_the_answer_does_not_fit(self):
        done = self.run_with(15, "--rate", "100", "--service", "5ms", "--cap", "20", "--sweep", "1")
        self.assertEqual((done.returncode, done.stdout), (UNABLE, ""))
        self.assertIn("RLIMIT_NPROC", done.stderr)


class Files(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as folder:
            svg, percentiles = (os.path.join(folder, name) for name in ("a.svg", "a.hgrm"))
            cls.answer = json_of(*SHORT, "--svg", svg, "--percentiles", percentiles)
            cls.svg = ElementTree.parse(svg).getroot()
            with open(percentiles) as file:
                cls.percentiles = file.read()

    def points(self):
        return [(e.get("class"), int(e.get("data-cap")), float(e.get("data-value")), float(e.get("cx")), float(e.get("cy")))
                for e in self.svg.iter("{http://www.w3.org/2000/svg}circle")]

    def test_the_svg_shows_the_figures_of_the_json(self):
        shown = {(source, cap): value for source, cap, value, _, _ in self.points()}
        wanted = {(source, row["cap"]): row[source]["p99_wait_ms"] for row in self.answer["sweep"] for source in SOURCES
                  if row[source]["p99_wait_ms"] is not None}
        self.assertEqual(shown.keys(), wanted.keys())
        for key, value in wanted.items():
            self.assertAlmostEqual(shown[key] * 1000, value, 9)

    def test_points_of_the_svg_lie_where_their_figures_say(self):
        points = self.points()
        goal = next(e for e in self.svg.iter("{http://www.w3.org/2000/svg}line") if e.get("class") == "goal")
        pairs = [(value, y) for _, _, value, _, y in points] + [(float(goal.get("data-value")), float(goal.get("y1")))]
        self.on_a_line(pairs)
        self.assertTrue(all(40 <= y <= 370 for _, y in pairs)) # between its axes
        self.on_a_line([(cap, x) for _, cap, _, x, _ in points])

    def on_a_line(self, pairs):
        (a, at_a), (b, at_b) = min(pairs), max(pairs)
        self.assertLess(a, b)
        for value, at in pairs:
            self.assertAlmostEqual(at, at_a + (at_b - at_a) * (value - a) / (b - a), 2)

    def test_percentiles_end_with_all_tasks(self):
        chosen = next(row for row in self.answer["sweep"] if row["chosen"])
        lines = [line.split() for line in self.percentiles.splitlines() if line and line[0] == " " and "Value" not in line]
        self.assertEqual(int(lines[-1][2]), chosen["run"]["counted"])
        values = [float(line[0]) for line in lines]
        self.assertEqual(values, sorted(values))
        words = re.search(r"Mean += +([0-9.]+), StdDeviation += +([0-9.]+)", self.percentiles)
        mean, deviation = (float(word) for word in words.groups())
        self.assertGreater(deviation + 0.001, (values[-1] - mean) / int(lines[-1][2]) ** 0.5)
        self.assertLess(deviation, values[-1])
        self.assertAlmostEqual(values[-1], chosen["measured"]["p999_wait_ms"], 2)

    def test_the_csv_has_a_line_for_each_cap_and_way(self):
        rows = list(csv.DictReader(io.StringIO(run(*SHORT, "--csv").stdout)))
        self.assertEqual({row["source"] for row in rows}, set(SOURCES))
        simulated = {int(row["cap"]): float(row["p99-wait_ms"]) for row in rows if row["source"] == "simulation"}
        for row in self.answer["sweep"]:
            expected = row["simulation"]["p99_wait_ms"]
            self.assertEqual(simulated[row["cap"]], float("inf") if expected is None else expected)


class Scaling(unittest.TestCase):
    def test_a_command_that_fails_is_not_measured(self):
        done = run("usl", "--service", "exec:false", "--caps", "1,2,3", "--duration", "20ms")
        self.assertEqual((done.returncode, done.stdout), (UNABLE, ""))
        self.assertIn("exec:false", done.stderr)

    def test_a_curve_is_found_again(self):
        points = "".join(f"{n} {1000 * n / (1 + 0.02 * (n - 1) + 0.0005 * n * (n - 1))}\n" for n in (1, 2, 4, 8, 16, 32))
        done = run("usl", "-", "--json", stdin="# cap tasks/s\n" + points)
        curve = json.loads(done.stdout)
        self.assertAlmostEqual(curve["sigma"], 0.02, 6)
        self.assertAlmostEqual(curve["kappa"], 0.0005, 8)
        self.assertAlmostEqual(curve["peak_cap"], (0.98 / 0.0005) ** 0.5, 3)

    def test_a_corner_is_no_curve_and_gets_no_peak(self):
        corner = "1 500\n2 1000\n3 960\n4 1000\n8 990\n"
        shown = run("usl", "-", stdin=corner).stdout
        self.assertIn("does not fit", shown)
        self.assertNotIn("peak", shown)
        self.assertIn("best measured: cap 2, 1000/s", shown)
        curve = json.loads(run("usl", "-", "--json", stdin=corner).stdout)
        self.assertEqual((curve["fits"], curve["best_cap"]), (False, 2))

    def test_huge_figures_are_fitted_as_well(self):
        done = run("usl", "-", "--json", stdin="1 1e300\n2 1.9e300\n3 2.6e300\n4 3.2e300\n")
        self.assertAlmostEqual(json.loads(done.stdout)["gamma"] / 1e300, 1, 1)

    def test_caps_are_measured(self):
        done = run("usl", "--service", "fixed:2ms", "--caps", "1,2,4", "--duration", "200ms", "--json")
        self.assertEqual([point["cap"] for point in json.loads(done.stdout)["points"]], [1, 2, 4])
        one = json.loads(done.stdout)["points"][0]["throughput"]
        self.assertTrue(100 < one <= 500, one) # of 2 ms each


if __name__ == "__main__":
    program = os.path.abspath(sys.argv.pop(1))
    unittest.main()
