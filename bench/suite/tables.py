"""Tables on standard output, in the form that bench/README.md uses."""


def short(value, unit):
    if unit == "tasks/s":
        for size, name in ((1e6, "M"), (1e3, "k")):
            if abs(value) >= size:
                return f"{value / size:.3g} {name}"
        return f"{value:.0f}"
    if unit == "share":
        return f"{value:.3f}"
    return f"{value:.4g}"


def cell(entry, field):
    """Median (lowest .. highest), and a star for each round that others disturbed."""
    if entry is None:
        return ""
    if "skipped" in entry:
        return "–"
    metric = entry["metrics"].get(field)
    if metric is None:
        return ""
    texts = [short(metric[name], metric["unit"]) for name in ("median", "low", "high")]
    return f"{texts[0]} ({texts[1]} .. {texts[2]})" + "*" * entry["noisy"]


def pivot(figures, rows, columns, field):
    """Rows and columns are names of keys. Returns the head and the lines as lists of text."""
    def values(entry, names):
        return tuple(str(entry["keys"].get(name, "")) for name in names)

    heads = list(dict.fromkeys(values(entry, columns) for entry in figures))
    lines = {}
    for entry in figures:
        lines.setdefault(values(entry, rows), {})[values(entry, columns)] = entry
    head = list(rows) + [" ".join(f"{n} {v}" for n, v in zip(columns, value)) or field for value in heads]
    body = [list(row) + [cell(found.get(value), field) for value in heads] for row, found in lines.items()]
    return head, body


def markdown(head, body):
    text = ["| " + " | ".join(line) + " |" for line in [head, *body]]
    text.insert(1, "|" + "---|" * len(head))
    return "\n".join(text)


def skips(figures):
    why = dict.fromkeys(entry["keys"].get("subject", "") + ": " + entry["skipped"].rpartition(": ")[2]
                        for entry in figures if "skipped" in entry)
    return [f"skipped: {line}" for line in why]


def by_metric(section, figures):
    """For a section without column keys: a column for each metric."""
    body = []
    for entry in figures:
        keys = [str(entry["keys"].get(name, "")) for name in section.rows]
        body.append(keys + [cell(entry, metric.field) for metric in section.metrics])
    return list(section.rows) + [metric.title for metric in section.metrics], body


def section_text(section, doc):
    if not section.columns:
        table = markdown(*by_metric(section, doc["figures"]))
        return "\n\n".join([f"## {doc['title']}", table] + skips(doc["figures"]))
    parts = [f"## {doc['title']}"]
    for metric in section.metrics:
        if not metric.shown:
            continue
        shown = [entry for entry in doc["figures"] if "skipped" in entry or metric.field in entry["metrics"]]
        if any("metrics" in entry for entry in shown):
            parts.append(f"{metric.title}:\n\n" + markdown(*pivot(shown, section.rows, section.columns, metric.field)))
    parts += skips(doc["figures"])
    return "\n\n".join(parts)
