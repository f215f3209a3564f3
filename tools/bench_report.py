#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes one page (HTML with SVG in it, nothing outside) out of what larder-bench full, scaling and quick have printed.

    tools/bench_report.py FILE.json... >report.html
    tools/bench_report.py --into docs/PERFORMANCE.md FILE.json...

The second form puts tables of their results where the document has <!-- NAME --> and <!-- end -->.
"""
import html
import json
import math
import re
import sys
import time

COLOURS = ["#0b6e4f", "#c1440e", "#2a5caa", "#8a4fbd", "#b8860b", "#008b8b", "#a0334b", "#555555", "#6b8e23", "#1f1f7a", "#d2691e"]
WIDTH, HEIGHT = 640, 320
LEFT, RIGHT, TOP, BOTTOM = 70, 170, 16, 46

STYLE = """body { font: 15px/1.5 sans-serif; max-width: 62em; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: 1em 0 } td, th { padding: .2em .8em; border-bottom: 1px solid #ddd; text-align: right }
th:first-child, td:first-child { text-align: left } svg { max-width: 100%; height: auto } .best { font-weight: bold }
svg text { font: 12px sans-serif; fill: #333 } .note { color: #666; font-size: 13px }"""


def text(value):
    return html.escape(str(value))


def figure(value):
    if value is None:
        return "-"
    if value >= 1e6:
        return f"{value / 1e6:.3g} M"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


class Axis:
    """Maps values to places, in logarithmic or linear steps."""

    def __init__(self, values, begin, end, logarithmic):
        low, high = min(values), max(values)
        self.logarithmic = logarithmic and low > 0
        if not self.logarithmic:
            low = 0
        if high <= low:
            high = low + 1
        self.low, self.high = self.scale(low), self.scale(high)
        self.begin, self.end = begin, end

    def scale(self, value):
        return math.log10(value) if self.logarithmic else value

    def place(self, value):
        share = (self.scale(value) - self.low) / (self.high - self.low)
        return self.begin + share * (self.end - self.begin)

    def ticks(self):
        if self.logarithmic:
            powers = range(math.ceil(self.low - 1e-9), math.floor(self.high + 1e-9) + 1)
            ticks = [10.0**power for power in powers]
            return ticks if len(ticks) > 1 else [10**self.low, 10**self.high]
        step = 10 ** math.floor(math.log10(self.high / 2))
        while self.high / step > 6:
            step *= 2
        return [step * i for i in range(int(self.high / step) + 1)]


def chart(lines, across, up, logarithmic_across, logarithmic_up):
    """lines: (label, [(x, y)])."""
    points = [point for _, line in lines for point in line]
    if not points:
        return ""
    x = Axis([p[0] for p in points], LEFT, WIDTH - RIGHT, logarithmic_across)
    y = Axis([p[1] for p in points], HEIGHT - BOTTOM, TOP, logarithmic_up)
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{text(up)} against {text(across)}">']
    for tick in x.ticks():
        at = x.place(tick)
        parts.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="#eee"/>')
        parts.append(f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{figure(tick)}</text>')
    for tick in y.ticks():
        at = y.place(tick)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}" stroke="#eee"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{figure(tick)}</text>')
    for i, (label, line) in enumerate(lines):
        colour = COLOURS[i % len(COLOURS)]
        path = " ".join(f"{x.place(a):.1f},{y.place(b):.1f}" for a, b in line)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        if len(line) < 12:
            parts += [f'<circle cx="{x.place(a):.1f}" cy="{y.place(b):.1f}" r="3" fill="{colour}"/>' for a, b in line]
        at = TOP + 14 + 17 * i
        parts.append(f'<rect x="{WIDTH - RIGHT + 14}" y="{at - 9}" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{WIDTH - RIGHT + 30}" y="{at}">{text(label)}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{text(across)}</text>')
    parts.append(f'<text x="14" y="{HEIGHT / 2}" text-anchor="middle" transform="rotate(-90 14 {HEIGHT / 2})">{text(up)}</text>')
    return "".join(parts) + "</svg>"


def table(head, rows):
    out = ["<table><tr>" + "".join(f"<th>{text(cell)}</th>" for cell in head) + "</tr>"]
    out += ["<tr>" + "".join(f"<td>{text(cell)}</td>" for cell in row) + "</tr>" for row in rows]
    return "".join(out) + "</table>"


def distinct(results, *names):
    return list(dict.fromkeys(tuple(result[name] for name in names) for result in results))


def times(results):
    """ns of one process: the head of a table, and a row for each system, with a column for each mix."""
    one = [r for r in results if r["processes"] == 1 and "histogram" not in r]
    mixes = [mix for (mix,) in distinct(one, "mix")]
    found = {}
    for result in one:
        found.setdefault((result["system"], result["mix"]), result)
    rows = []
    for (system,) in distinct(one, "system"):
        cells = [found.get((system, mix)) for mix in mixes]
        rows.append([system] + [f"{figure(c['ns'])} ±{c['spread'] * 50:.0f} %" if c else "-" for c in cells])
    return ["ns for one operation"] + mixes, rows


def rates(results):
    several = [r for r in results if r["processes"] > 1]
    columns = distinct(several, "mix", "processes")
    found = {}
    for result in several:
        found.setdefault((result["system"], result["mix"], result["processes"]), result)
    rows = []
    for (system,) in distinct(several, "system"):
        cells = [found.get((system, *column)) for column in columns]
        rows.append([system] + [f"{c['rate'] / 1e6:.3g}" if c else "-" for c in cells])
    return table(["million operations/s"] + [f"{mix}, {count} processes" for mix, count in columns], rows)


def distributions(results):
    out = []
    for (mix,) in distinct(results, "mix"):
        lines, rows, seen = [], [], set()
        for result in results:
            if result["mix"] != mix or result["system"] in seen:
                continue
            seen.add(result["system"])
            total = sum(count for _, count in result["histogram"])
            above, line = total, []
            for value, count in result["histogram"]:
                line.append((max(value, 1), above / total))
                above -= count
            lines.append((result["system"], line))
            rows.append([result["system"]] + [figure(result[name]) for name in ("p50", "p90", "p99", "p999", "max")])
        out.append(f"<h4>{text(mix)}: share of operations that take at least so long</h4>")
        out.append(chart(lines, "ns", "share", True, True))
        out.append(table(["ns", "50 %", "90 %", "99 %", "99.9 %", "most"], rows))
    return "".join(out)


def full(data):
    out = ["<h2>Beside other systems</h2>", f"<p>{text(data['cpu_model'])}, {data['cpus']} processors, medians of {data['rounds']} rounds.</p>"]
    out.append(table(["system", "how it is used"], [[s["name"], s.get("use", "left out: " + s.get("left_out", ""))] for s in data["systems"]]))
    for keys, size, order in distinct(data["results"], "keys", "value_bytes", "order"):
        chosen = [r for r in data["results"] if (r["keys"], r["value_bytes"], r["order"]) == (keys, size, order)]
        out.append(f"<h3>{keys:,} keys, values of {size} bytes, {text(order)}</h3>")
        out.append(table(*times(chosen)))
        out.append(rates(chosen))
        singles = [r for r in chosen if "histogram" in r]
        if singles:
            out.append(distributions(singles))
        missed = sum(r.get("missed", 0) for r in chosen)
        if missed:
            out.append(f'<p class="note">{missed} reads missed, because the value had been evicted.</p>')
    return "".join(out)


def scaling(data):
    out = ["<h2>Scaling</h2>"]
    for series in data["series"]:
        lines = [(line["label"], [(p[0], p[1]) for p in line["points"]]) for line in series["lines"]]
        out.append(f"<h3>Against {text(series['name'])}</h3>")
        out.append(chart(lines, series["across"], series["up"], series["name"] != "write share", series["name"] == "value size"))
    return "".join(out)


def flat(data):
    """What quick, core and missratio print: numbers with names."""
    ratios = [[name, figure(value)] for name, value in data.items() if "_vs_" in name or "scaling" in name]
    spread = "_spread"
    rows = [[name[: -len(spread)], figure(data[name[: -len(spread)]]), "-" if value is None else f"{value * 100:.0f} %"]
            for name, value in data.items() if name.endswith(spread)]
    return f"<h2>{text(data['benchmark'])}</h2>" + table(["ratio", ""], ratios) + table(["", "median ns", "spread"], rows)


def markdown(head, rows):
    lines = [head, ["---"] + ["---:"] * (len(head) - 1)] + rows
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def quick_tables(data):
    def cell(system, operation):
        name = f"{system}_{operation}_ns"
        return figure(data[name]) if data.get(name) else "-"

    systems = [("larder", ("view", "get", "mget32", "set")), ("plain walk", ("touch", "copy", "bulk", "set")),
               ("inlined walk", ("touch", "copy", "bulk", "set")), ("minimal floor", ("touch", "copy", "bulk", "set")),
               ("rte_hash", ("touch", "get", "bulk", "set")), ("ck_ht", ("touch", "get", "bulk", "set")),
               ("lfht", ("touch", "get", "bulk", "set")), ("lmdb", ("touch", "get", "get32", "set")),
               ("apcu", ("touch", "get", "get32", "set")), ("memcached", ("touch", "get", "get32", "set")),
               ("redis", ("touch", "get", "get32", "set"))]
    prefixes = {"plain walk": "floor", "inlined walk": "inlined", "minimal floor": "minimal"}
    rows = [[name] + [cell(prefixes.get(name, name), operation) for operation in operations] for name, operations in systems]
    ratios = [[f"`{name}`", figure(value)] for name, value in data.items() if "_vs_" in name or "scaling" in name]
    day = time.strftime("%Y-%m-%d")
    where = (f"{data['cpu_model']}, {data['rounds']} rounds, pages of {data['page_bytes']} bytes, {data['keys']:,} keys; {day}. ns:")
    return where + "\n\n" + markdown(["", "touch", "copy", "a key of 32", "set"], rows) + "\n\n" + markdown(["ratio", ""], ratios)


def full_tables(data):
    out = [f"{data['cpu_model']}, {data['rounds']} rounds; {time.strftime('%Y-%m-%d')}. One process; ± half of the spread of the rounds."]
    for keys, size, order in distinct(data["results"], "keys", "value_bytes", "order"):
        chosen = [r for r in data["results"] if (r["keys"], r["value_bytes"], r["order"]) == (keys, size, order)]
        out.append(f"{keys:,} keys, values of {size} bytes, {order}:")
        out.append(markdown(*times(chosen)))
    return "\n\n".join(out)


def scaling_tables(data):
    out = []
    for series in data["series"]:
        across = sorted({point[0] for line in series["lines"] for point in line["points"]})
        rows = []
        for line in series["lines"]:
            found = {point[0]: point[1] for point in line["points"]}
            rows.append([line["label"]] + [figure(found.get(value)) for value in across])
        if not across:
            out.append(f"By {series['across']}: nothing could be measured.")
            continue
        out.append(markdown([f"{series['up']}, by {series['across']}"] + [f"{value:,.0f}" for value in across], rows))
    return "\n\n".join(out)


def into(path, results):
    with open(path, encoding="utf-8") as file:
        document = file.read()
    for data in results:
        name = data["benchmark"]
        tables = {"quick": quick_tables, "scaling": scaling_tables, "full": full_tables}.get(name)
        if tables:
            pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
            filled = tables(data)
            document, count = pattern.subn(lambda match: match[1] + filled + "\n" + match[2], document)
            if count != 1:
                print(f"{path}: not one place for {name}", file=sys.stderr)
                return 1
    with open(path, "w", encoding="utf-8") as file:
        file.write(document)
    return 0


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def main():
    if len(sys.argv) > 3 and sys.argv[1] == "--into":
        return into(sys.argv[2], [load(path) for path in sys.argv[3:]])
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    parts = []
    for path in sys.argv[1:]:
        data = load(path)
        parts.append({"full": full, "scaling": scaling}.get(data["benchmark"], flat)(data))
    print(f'<!doctype html><html lang="en"><meta charset="utf-8"><title>larder measured</title><style>{STYLE}</style>'
          f"<h1>larder measured</h1><p>docs/PERFORMANCE.md says what the numbers mean.</p>{''.join(parts)}</html>")
    return 0


if __name__ == "__main__":
    sys.exit(main())
