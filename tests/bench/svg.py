"""Bars in SVG, small enough to be kept in the repository: no library."""
COLOURS = {"pigeon-native": "#2563eb", "pigeon-mqtt": "#60a5fa", "mosquitto": "#64748b"}
WIDTH, LEFT, BAR, GAP = 720, 230, 20, 8


def _text(x, y, text, anchor="start", size=13, weight="normal"):
    safe = str(text).replace("&", "&amp;").replace("<", "&lt;")
    return f'<text x="{x}" y="{y}" font-family="sans-serif" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" fill="#111">{safe}</text>'


def bars(title, unit, values, goal=None):
    """values: [(name, number or None)]; goal: a line at that value."""
    values = [(n, v) for n, v in values if v is not None]
    top = max([v for _, v in values] + [goal or 0, 1e-9])
    height = 46 + len(values) * (BAR + GAP) + (18 if goal else 0)
    scale = (WIDTH - LEFT - 90) / top
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}">',
           f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>', _text(10, 24, f"{title}, {unit}", size=15, weight="bold")]
    for i, (name, value) in enumerate(values):
        y = 40 + i * (BAR + GAP)
        width = max(value * scale, 1)
        colour = next((c for n, c in COLOURS.items() if name.startswith(n)), "#cbd5e1")
        out += [_text(LEFT - 8, y + 15, name, "end"), f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{colour}"/>',
                _text(LEFT + width + 6, y + 15, f"{value:,.0f}" if value >= 100 else f"{value:.3g}")]
    if goal:
        x, end = LEFT + goal * scale, 40 + len(values) * (BAR + GAP)
        out += [f'<line x1="{x:.1f}" y1="34" x2="{x:.1f}" y2="{end}" stroke="#dc2626" stroke-dasharray="4 3"/>', _text(x, end + 13, "goal", "middle", 12)]
    return "\n".join(out + ["</svg>", ""])
