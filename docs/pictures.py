"""The three pictures of `docs/concepts.md`: `uv run python docs/pictures.py` writes them to `docs/pictures/`.

Each picture is computed, not sketched: the weights are softmax weights, the matrix is a covariance. Colours are those
of Okabe and Ito, which remain distinct for colour-blind readers, and no statement depends on colour alone.
"""

from pathlib import Path

import matplotlib
import matplotlib.patheffects

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

FOLDER = Path(__file__).parent / "pictures"
BLUE, ORANGE, GREY, INK = "#0072B2", "#D55E00", "#D9D9D9", "#222222"
SHADES = "Blues"
WIDTH, DPI = 7, 200  # inches and dots per inch: 1400 pixels, shown at 700
H, W = 6, 8


def main() -> None:
    plt.rcParams.update({"font.size": 9, "text.color": INK, "axes.titlesize": 9, "axes.titlecolor": INK})
    for name, draw in {"context": context, "pairwise": pairwise, "covariance": covariance}.items():
        figure = draw()
        figure.savefig(FOLDER / f"{name}.png", dpi=DPI, facecolor="white", metadata={"Software": None})
        plt.close(figure)


def context() -> Figure:
    """One weight per position, one vector for the map, the same vector added everywhere."""
    logits = np.random.default_rng(3).normal(size=(H, W)) * 0.4
    logits[1:3, 1:3] += 2
    logits[4, 5:7] += 1.7
    weights = softmax(logits)

    figure = plt.figure(figsize=(WIDTH, 2.5))
    source, summary, changed, result = (
        figure.add_axes(box)
        for box in ([0.02, 0.2, 0.3, 0.6], [0.45, 0.2, 0.04, 0.6], [0.59, 0.2, 0.04, 0.6], [0.7, 0.2, 0.28, 0.6])
    )
    grid(source, weights, "1. a weight for every position")
    vector = np.array([0.9, 0.2, 0.6, 0.4, 0.75, 0.3])[:, None]
    column(summary, vector, "2. one vector")
    column(changed, vector[::-1] ** 2, "3. transform")
    grid(result, np.full((H, W), 0.3), "4. the same vector everywhere", top=1)
    for y in range(H):
        for x in range(W):
            result.text(x, y, "+", ha="center", va="center", color=BLUE, fontsize=11, fontweight="bold")
    arrow(figure, 0.335, 0.435, "weighted\nmean")
    arrow(figure, 0.505, 0.575, "")
    arrow(figure, 0.645, 0.695, "")
    figure.text(0.02, 0.08, "the map: 6 x 8 positions", color="#555555")
    figure.text(0.70, 0.08, "the map plus one vector", color="#555555")
    return figure


def pairwise() -> Figure:
    """Two queries look at one picture and obtain two different maps of weights."""
    picture = np.ones((H, W, 3)) * 0.85
    disc, square = [(0, 1), (1, 1), (4, 6), (5, 6)], [(1, 5), (1, 6), (4, 1), (4, 2)]
    features = np.random.default_rng(0).normal(size=(H, W, 4)) * 0.25
    for places, colour, channel in ((disc, ORANGE, 0), (square, BLUE, 1)):
        for place in places:
            picture[place] = matplotlib.colors.to_rgb(colour)
            features[place][channel] += 2.2
    vectors = features.reshape(-1, 4)
    figure = plt.figure(figsize=(WIDTH, 2.6))
    axes = [figure.add_axes([x, 0.16, 0.29, 0.62]) for x in (0.01, 0.36, 0.69)]
    axes[0].imshow(picture)
    lines(axes[0], "the picture, with two queries")
    for ax, name, (y, x) in ((axes[1], "A", (1, 1)), (axes[2], "B", (1, 5))):
        grid(ax, softmax(vectors @ features[y, x]).reshape(H, W), f"the weights of query {name}")
        for panel in (axes[0], ax):
            panel.add_patch(
                plt.Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, edgecolor="black", linewidth=2.2, zorder=5)
            )
        axes[0].text(x, y, name, ha="center", va="center", color="white", fontweight="bold", fontsize=11)
        mark = ax.text(x, y, name, ha="center", va="center", color="white", fontweight="bold", fontsize=11)
        mark.set_path_effects([matplotlib.patheffects.withStroke(linewidth=2, foreground="black")])
    figure.text(0.36, 0.05, "large where $x_j$ resembles A", color="#555555")
    figure.text(0.69, 0.05, "large where $x_j$ resembles B", color="#555555")
    return figure


def covariance() -> Figure:
    """Channels over positions, their covariance matrix, and one gate per channel."""
    n = 48
    draw = np.random.default_rng(1)
    turns = np.linspace(0, 2 * np.pi, n)
    wave, other = np.sin(turns), np.sin(2 * turns)  # uncorrelated: whole periods
    mixture = [wave, 0.9 * wave, -wave, other, 0.8 * other, 0 * wave]
    x = np.stack(mixture) + draw.normal(size=(6, n)) * 0.18
    sigma = np.cov(x, bias=True)

    figure = plt.figure(figsize=(WIDTH, 2.7))
    curves, matrix, gates = (
        figure.add_axes(box) for box in ([0.05, 0.17, 0.36, 0.66], [0.5, 0.17, 0.255, 0.66], [0.85, 0.17, 0.11, 0.66])
    )
    for channel, values in enumerate(x):
        curves.plot(values / 3.2 + 5 - channel, color=BLUE, linewidth=1.4)
    curves.set(
        title="1. six channels over all positions", xticks=[], yticks=range(6), ylim=(-0.6, 5.6), xlabel="position"
    )
    curves.set_yticklabels([str(channel) for channel in range(6, 0, -1)])
    curves.set_ylabel("channel")
    frame(curves)
    limit = np.abs(sigma).max()
    matrix.imshow(sigma, cmap="PuOr_r", vmin=-limit, vmax=limit)
    for i in range(6):
        for j in range(6):
            if abs(sigma[i, j]) > 0.2:
                sign = "+" if sigma[i, j] > 0 else "\N{MINUS SIGN}"
                strong = abs(sigma[i, j]) > 0.62 * limit
                matrix.text(j, i, sign, ha="center", va="center", color="white" if strong else "black", fontsize=10)
    lines(matrix, "2. their covariance", rows=6, columns=6)
    matrix.set_xticks(range(6), map(str, range(1, 7)))
    matrix.set_yticks(range(6), map(str, range(1, 7)))
    matrix.tick_params(length=0, pad=1)
    level = 1 / (1 + np.exp(-1.6 * (np.abs(sigma).sum(1) - np.abs(sigma).sum(1).mean())))
    gates.barh(range(6), level, color=BLUE, height=0.7)
    gates.set(title="3. one gate each", xlim=(0, 1), ylim=(5.6, -0.6), xticks=[0, 1], yticks=[])
    frame(gates)
    arrow(figure, 0.425, 0.475, "")
    arrow(figure, 0.77, 0.835, "")
    return figure


def softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


def grid(ax: Axes, weights: np.ndarray, title: str, top: float | None = None) -> None:
    """A map, darker where the weight is larger."""
    ax.imshow(weights, cmap=SHADES, vmin=0, vmax=1.15 * weights.max() if top is None else top)
    lines(ax, title)


def column(ax: Axes, vector: np.ndarray, title: str) -> None:
    ax.imshow(vector, cmap=SHADES, vmin=0, vmax=1.15, aspect="auto")
    lines(ax, title, rows=len(vector), columns=1)


def lines(ax: Axes, title: str, rows: int = H, columns: int = W) -> None:
    """Cell borders, a title, and no ticks."""
    ax.set(xticks=[], yticks=[])
    ax.set_title(title, pad=6)
    for y in range(rows + 1):
        ax.axhline(y - 0.5, color=GREY, linewidth=0.8)
    for x in range(columns + 1):
        ax.axvline(x - 0.5, color=GREY, linewidth=0.8)
    ax.spines[:].set_visible(False)


def frame(ax: Axes) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(length=2)


def arrow(figure: Figure, start: float, end: float, text: str) -> None:
    """From left to right, at half height."""
    figure.add_artist(
        matplotlib.patches.FancyArrowPatch(
            (start, 0.5), (end, 0.5), transform=figure.transFigure, arrowstyle="-|>", mutation_scale=12, color=INK
        )
    )
    figure.text((start + end) / 2, 0.56, text, ha="center", va="bottom")


if __name__ == "__main__":
    main()
