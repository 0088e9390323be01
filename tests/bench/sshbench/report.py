"""The figures, for people and for programs."""
import json


def _number(value):
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _row(result):
    target = f"{result.target[0]} {_number(result.target[1])}" if result.target else ""
    ratio = result.ratio()
    return [result.what, result.unit, _number(result.value("sshd")), _number(result.value("gateway")),
            f"{ratio:.2f}" if ratio is not None else "-", target, result.note or result.verdict()]


def as_table(results, out):
    """Markdown, so that it can go into the README as it is."""
    rows = [["", "unit", "sshd", "gateway", "ratio", "to reach", ""], *map(_row, results)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for number, row in enumerate(rows):
        cells = [cell.rjust(width) if 2 <= i <= 4 else cell.ljust(width)
                 for i, (cell, width) in enumerate(zip(row, widths))]
        out.write(f"| {' | '.join(cells)} |\n")
        if number == 0:
            out.write("|" + "|".join("-" * (width + 1) + (":" if 2 <= i <= 4 else "-")
                                     for i, width in enumerate(widths)) + "|\n")


def as_json(results, out):
    json.dump([{"what": r.what, "unit": r.unit, "sshd": r.value("sshd"), "gateway": r.value("gateway"),
                "ratio": r.ratio(), "target": r.target and f"{r.target[0]} {r.target[1]}",
                "verdict": r.verdict() or None, "note": r.note or None, "samples": r.samples} for r in results],
              out, indent=1)
    out.write("\n")
