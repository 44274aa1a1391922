"""Figures: medians with their spread, kept as JSON, and held against earlier ones."""

import datetime
import json
import os
import platform
import statistics

LOSS = 0.10


def summary(values):
    """Median, lowest, highest, and the spread: between the quartiles."""
    if len(values) < 2:
        quarters = [values[0]] * 3
    else:
        quarters = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": statistics.median(values), "low": min(values), "high": max(values),
            "spread": quarters[2] - quarters[0], "values": values}


def figure(case, metrics):
    """What a case measured, or why it did not."""
    entry = {"label": case.label(), "keys": case.keys}
    if case.skipped is not None:
        entry["skipped"] = case.skipped
        return entry
    entry["noisy"] = case.noisy
    entry["metrics"] = {}
    for metric in metrics:
        values = [fields[metric.field] for fields in case.rounds if metric.field in fields]
        if values:
            entry["metrics"][metric.field] = {"unit": metric.unit, "better": metric.better, **summary(values)}
    return entry


def machine():
    model = "unknown processor"
    try:
        with open("/proc/cpuinfo") as cpuinfo:
            for line in cpuinfo:
                if line.startswith("model name"):
                    model = line.partition(":")[2].strip()
                    break
    except OSError:
        pass
    libc = " ".join(platform.libc_ver())
    kernel = platform.release().partition("-")[0]
    return f"{model}, {os.cpu_count()} processors, {platform.system()} {kernel}, {libc}"


def document(section, cases, rounds, seconds):
    return {"section": section.name, "title": section.title, "machine": machine(),
            "date": datetime.date.today().isoformat(), "rounds": rounds, "seconds": round(seconds),
            "figures": [figure(case, section.metrics) for case in cases]}


def save(path, doc):
    with open(path, "w") as out:
        json.dump(doc, out, indent=1)
        out.write("\n")


def load(path):
    with open(path) as source:
        doc = json.load(source)
    if not isinstance(doc, dict) or "section" not in doc or "figures" not in doc:
        raise ValueError("holds no results of bench/run")
    return doc


def loss(old, new):
    """By which share the median is worse than it was; below 0: better."""
    if old["median"] == 0:
        return 0.0 if new["median"] == 0 or old["better"] == "more" else 1.0
    change = (old["median"] - new["median"]) / abs(old["median"])
    return change if old["better"] == "more" else -change


def lost(old, new):
    spread = max(old["spread"], new["spread"])
    return loss(old, new) > LOSS and abs(old["median"] - new["median"]) > spread


def compare(old_doc, new_doc):
    """Lines about the medians of our own figures that got worse, and how many there were to
    compare. What peers do is not ours to lose."""
    new_figures = {entry["label"]: entry for entry in new_doc["figures"]}
    lines, compared = [], 0
    for entry in old_doc["figures"]:
        if entry["keys"].get("subject", "antpool") != "antpool":
            continue
        new_metrics = new_figures.get(entry["label"], {}).get("metrics", {})
        for name, old in entry.get("metrics", {}).items():
            if name not in new_metrics or old["better"] == "neither":
                continue
            compared += 1
            if lost(old, new_metrics[name]):
                lines.append(f"{entry['label']}: {name} {old['median']:.6g} -> {new_metrics[name]['median']:.6g} "
                             f"({100 * loss(old, new_metrics[name]):.0f} % worse)")
    return lines, compared
