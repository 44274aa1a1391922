"""SVG by hand: bars with the spread as a line, one group of bars for each column."""

from xml.sax.saxutils import escape

BAR, GAP, LEFT, WIDTH, TEXT = 14, 18, 190, 560, 11
COLOURS = ("#1f6f8b", "#c9d6df")


def bar(y, label, text, share, low, high, ours):
    parts = [f'<text x="{LEFT - 6}" y="{y + BAR - 3}" text-anchor="end">{escape(label)}</text>',
             f'<rect x="{LEFT}" y="{y}" width="{share * WIDTH:.1f}" height="{BAR - 2}" fill="{COLOURS[not ours]}"/>',
             f'<line x1="{LEFT + low * WIDTH:.1f}" x2="{LEFT + high * WIDTH:.1f}" y1="{y + BAR / 2 - 1}" '
             f'y2="{y + BAR / 2 - 1}" stroke="#333"/>',
             f'<text x="{LEFT + max(share, high) * WIDTH + 6:.1f}" y="{y + BAR - 3}">{escape(text)}</text>']
    return parts


def group(y, title, bars, short):
    """bars: (label, metric, ours). Scaled to the largest of the group."""
    most = max(metric["high"] for _, metric, _ in bars) or 1
    parts = [f'<text x="{LEFT}" y="{y + TEXT}" font-weight="bold">{escape(title)}</text>']
    y += GAP
    for label, metric, ours in bars:
        parts += bar(y, label, short(metric["median"], metric["unit"]), metric["median"] / most,
                     metric["low"] / most, metric["high"] / most, ours)
        y += BAR
    return parts, y + GAP


def chart(title, groups, short):
    """groups: (title, bars). Returns the text of an SVG."""
    parts, y = [f'<text x="{LEFT}" y="16" font-size="14">{escape(title)}</text>'], 28
    for name, bars in groups:
        more, y = group(y, name, bars, short)
        parts += more
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 110}" height="{y}" '
            f'font-family="sans-serif" font-size="{TEXT}"><rect width="100%" height="100%" fill="white"/>')
    return head + "\n" + "\n".join(parts) + "\n</svg>\n"


def groups_of(section, doc, field):
    groups = {}
    for entry in doc["figures"]:
        metric = entry.get("metrics", {}).get(field)
        if metric is None:
            continue
        keys = entry["keys"]
        title = ", ".join(f"{name} {keys[name]}" for name in section.columns if name in keys)
        label = " ".join(str(keys[name]) if name == "subject" else f"{name} {keys[name]}"
                         for name in section.rows if name in keys)
        groups.setdefault(title, []).append((label, metric, keys.get("subject", "antpool") == "antpool"))
    return list(groups.items())


def section_chart(section, doc, short):
    """The first metric of the section is what its picture shows."""
    metric = section.metrics[0]
    groups = groups_of(section, doc, metric.field)
    return chart(f"{doc['title']}: {metric.title.lower()}", groups, short) if groups else None
