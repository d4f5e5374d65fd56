"""Cost over time, drawn on the terminal."""

from collections.abc import Sequence
from datetime import UTC, datetime

import plotext

from crossdock.kernel.process.record import Row


def plot(times: Sequence[Row], slots: Sequence[datetime], hours: float, width: int) -> None:
    """Plot cost by model over the minutes before now."""
    minutes = [(slot - slots[-1]).total_seconds() / 60 for slot in slots]
    figure = plotext.figure
    figure.clear()
    figure.theme("colorless")
    figure.plot_size(min(width, 100), 16)
    for model in sorted({row[1] for row in times}):
        costs = {row[0].replace(tzinfo=UTC): float(row[2]) for row in times if row[1] == model}
        line = figure.signal(minutes, [costs.get(slot, 0.0) for slot in slots], marker="braille")
        figure.draw(line.lines().label(model))
    figure.title(f"USD by model, last {hours:g} h; minutes before {slots[-1]:%Y-%m-%d %H:%M} UTC")
    figure.show(colorless=True)
