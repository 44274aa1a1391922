"""bench/run calls this with the folder of the built programs; see there."""

import argparse
import os
import sys
import time

import plan
import plot
import results
import rounds
import tables


def parse():
    parser = argparse.ArgumentParser(prog="bench/run", description="Measures antpool, and other pools beside it.")
    parser.add_argument("--quick", action="store_true", help="3 short rounds in place of 7")
    parser.add_argument("--only", metavar="SECTION[,SECTION…]", help="some sections; --only help lists them")
    parser.add_argument("--no-peers", action="store_true", help="antpool alone")
    parser.add_argument("--rounds", type=int, metavar="N", help="how often each figure is taken")
    parser.add_argument("--out", metavar="DIR", help="where the .json and .svg go (bench/results)")
    parser.add_argument("--compare", metavar="FILE", help="measure what FILE, an earlier .json, holds; exit code 1 "
                        "if a median of ours is worse by more than 10 %% and more than the spread")
    parser.add_argument("--build", required=True, help=argparse.SUPPRESS)
    return parser.parse_args()


def peers_of(folder):
    """Present ones; names the missing with what to install."""
    present = []
    try:
        with open(os.path.join(folder, "peers.txt")) as listing:
            lines = [line.split(None, 2) for line in listing if line.strip()]
    except OSError:
        lines = []
    for name, state, packages in lines:
        if state == "present":
            present.append(name)
        else:
            print(f"skipped: {name} is missing ({packages.strip()})")
    return present


def chosen(sections, options, old):
    names = [section.name for section in sections]
    if options.only == "help":
        print("\n".join(f"{section.name:12} {section.title}" for section in sections))
        sys.exit(0)
    usual = [name for name in names if name != "twin"]
    wanted = [old["section"]] if old else options.only.split(",") if options.only else usual
    for name in wanted:
        if name not in names:
            sys.exit(f"bench: there is no section {name}; there are {', '.join(names)}")
    return [section for section in sections if section.name in wanted]


def measure(section, count, progress, out):
    begin = time.monotonic()
    rounds.run_all(section.cases, count, progress)
    doc = results.document(section, section.cases, count, time.monotonic() - begin)
    text = tables.section_text(section, doc)
    print(text, end="\n\n", flush=True)
    if out:
        with open(os.path.join(out, section.name + ".md"), "w") as table:
            table.write(f"{doc['machine']}, {doc['date']}, {count} rounds\n\n{text}\n")
        results.save(os.path.join(out, section.name + ".json"), doc)
        picture = plot.section_chart(section, doc, tables.short)
        if picture:
            with open(os.path.join(out, section.name + ".svg"), "w") as svg:
                svg.write(picture)
    return doc


def verdict(old, new):
    lines, compared = results.compare(old, new)
    if compared == 0:
        sys.exit("bench: FAIL: nothing of the earlier result was measured again")
    for line in lines:
        print("worse: " + line)
    print(f"bench: {compared} medians compared, {len(lines)} worse")
    return 1 if lines else 0


def main():
    options = parse()
    try:
        old = results.load(options.compare) if options.compare else None
    except (OSError, ValueError) as error:
        sys.exit(f"bench: --compare {options.compare}: {error}")
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    out = options.out or (None if old else os.path.join(here, "results"))
    if out:
        os.makedirs(out, exist_ok=True)
    peers = [] if options.no_peers or old else peers_of(options.build)
    sections = chosen(plan.Plan(options.build, peers, options.quick).all(), options, old)
    count = options.rounds or (3 if options.quick else 7)
    print(f"machine: {results.machine()}\nrounds: {count}, each figure a median (lowest .. highest); "
          "* a round in which others took more than 3 % of the machine\n", flush=True)
    progress = rounds.Progress(sum(len(rounds.by_command(section.cases)) * (section.rounds or count) for section in sections))
    for section in sections:
        doc = measure(section, section.rounds or count, progress, out)
    code = verdict(old, doc) if old else 0
    print("bench: done")
    sys.exit(code)


main()
