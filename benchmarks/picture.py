"""The benchmark's picture: two rows of bars, orders a second, and CPU for each order."""

from benchmarks.results import Results

_BAR, _LEFT, _WIDE = 26, 190, 300  # pixels: a bar with its gap, the names, the longest bar
_CUT = 60.0  # µs; longer bars are cut off there: FastStream's would leave nothing of the others


def picture(results: Results) -> str:
    """As SVG; of the scenario with all contenders."""
    names = list(results.runs["peers"])
    found = [results.median("peers", name) for name in names]
    panels = (
        ("orders/s: more is better", [f["orders_per_second"] for f in found], "{:,.0f}", None),
        ("CPU µs/order: less is better", [f["cpu_us_per_order"] for f in found], "{:.1f}", _CUT),
    )
    high = (len(names) + 2) * _BAR
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDE + 110}" height="{2 * high}" '
        'font-family="sans-serif" font-size="13"><rect width="100%" height="100%" fill="white"/>'
    ]
    for panel, (title, values, form, cut) in enumerate(panels):
        top = panel * high
        most = min(max(values), cut or max(values))
        parts.append(f'<text x="8" y="{top + 20}" font-weight="bold">{title}</text>')
        for i, (name, value) in enumerate(zip(names, values, strict=True)):
            y = top + (i + 1) * _BAR + 6
            colour = "#1f6f8b" if name.startswith("worker") else "#b8c4cc"
            length = _WIDE * min(value, most) / most
            parts.append(
                f'<text x="8" y="{y + 14}">{name}</text>'
                f'<rect x="{_LEFT}" y="{y}" width="{length:.0f}" height="18" fill="{colour}"/>'
                f'<text x="{_LEFT + length + 6:.0f}" y="{y + 14}">{form.format(value)}</text>'
            )
    return "\n".join([*parts, "</svg>\n"])
