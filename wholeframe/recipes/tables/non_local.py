"""Tables 2a to 2g of Wang et al., "Non-local Neural Networks", CVPR 2018 (arXiv 1711.07971)."""

from wholeframe.recipes.tables.table import FIVE, LAST, TEN, Row, Table, arm

PAPER = "Wang et al., Non-local Neural Networks, CVPR 2018"
KINETICS = "top-1 / top-5 in % on Kinetics-400, ResNet-50"
PLAIN = (
    "The rows with plain residual blocks are the control: as many blocks in the same stages, without a look at other "
    "positions. The paper has no such rows."
)

TABLES: dict[str, Table] = {
    "nonlocal-2a": Table(
        "Instantiations: one block in res4",
        f"{PAPER}, table 2a",
        KINETICS,
        (
            Row("C2D", arm(), "71.8 / 89.7"),
            Row("Gaussian", arm("nl_gaussian"), "72.5 / 90.2"),
            Row("Gaussian, embedded", arm("nl"), "72.7 / 90.5"),
            Row("dot product", arm("nl_dot"), "72.9 / 90.3"),
            Row("concatenation", arm("nl_concatenation"), "72.8 / 90.5"),
        ),
    ),
    "nonlocal-2b": Table(
        "Stages: one embedded Gaussian block",
        f"{PAPER}, table 2b",
        KINETICS,
        (
            Row("C2D", arm(), "71.8 / 89.7"),
            Row("res2", arm("nl", ["layer1.0"]), "72.7 / 90.3"),
            Row("res3", arm("nl", ["layer2.2"]), "72.9 / 90.4"),
            Row("res4", arm("nl", LAST), "72.7 / 90.5"),
            Row("res5", arm("nl", ["layer4.0"]), "72.3 / 90.1"),
        ),
        "All stages of the small network have the same grid, so that res5 is not coarser than res2.",
    ),
    "nonlocal-2c": Table(
        "Numbers of blocks",
        f"{PAPER}, table 2c",
        KINETICS,
        (
            Row("C2D", arm(), "71.8 / 89.7"),
            Row("1 block", arm("nl", LAST), "72.7 / 90.5"),
            Row("5 blocks", arm("nl", FIVE), "73.8 / 91.0"),
            Row("10 blocks", arm("nl", TEN), "74.3 / 91.2"),
            Row("1 plain residual block", arm(host="c2d_plain1")),
            Row("5 plain residual blocks", arm(host="c2d_plain5")),
            Row("10 plain residual blocks", arm(host="c2d_plain10")),
        ),
        PLAIN,
    ),
    "nonlocal-2d": Table(
        "Space, time, spacetime: five blocks",
        f"{PAPER}, table 2d",
        KINETICS,
        (
            Row("C2D", arm(), "71.8 / 89.7"),
            Row("space", arm("nl", FIVE, attend_over="space"), "72.9 / 90.8"),
            Row("time", arm("nl", FIVE, attend_over="time"), "73.1 / 90.5"),
            Row("spacetime", arm("nl", FIVE), "73.8 / 91.0"),
        ),
        "A third of the queries has its answer in the same frame, a third at the same place of another frame.",
    ),
    "nonlocal-2e": Table(
        "Non-local blocks and 3-D convolutions",
        f"{PAPER}, table 2e",
        "top-1 / top-5 in % on Kinetics-400, ResNet-101",
        (
            Row("C2D", arm(), "73.1 / 91.0"),
            Row("I3D, 3x3x3", arm(host="i3d333"), "74.1 / 91.2"),
            Row("I3D, 3x1x1", arm(host="i3d"), "74.4 / 91.1"),
            Row("NL C2D, 5 blocks", arm("nl", FIVE), "75.1 / 91.7"),
        ),
        "The small network has the numbers of blocks of ResNet-50.",
    ),
    "nonlocal-2f": Table(
        "Non-local blocks in a network with 3-D convolutions",
        f"{PAPER}, table 2f",
        KINETICS,
        (
            Row("C2D", arm(), "71.8 / 89.7"),
            Row("I3D", arm(host="i3d"), "73.3 / 90.7"),
            Row("NL I3D, 5 blocks", arm("nl", FIVE, host="i3d"), "74.9 / 91.6"),
        ),
    ),
    "nonlocal-2g": Table(
        "Longer clips",
        f"{PAPER}, tables 2f and 2g",
        f"{KINETICS}, 32 and 128 frames",
        tuple(
            Row(f"{label}, {frames} frames", arm(block, FIVE, task, host), published)
            for task, frames, rows in (
                ("recall_cut", 4, ("71.8 / 89.7", "73.3 / 90.7", "74.9 / 91.6")),
                ("recall_long", 8, ("73.8 / 91.2", "74.9 / 91.7", "76.5 / 92.6")),
            )
            for (label, block, host), published in zip(
                (("C2D", None, "c2d"), ("I3D", None, "i3d"), ("NL I3D, 5 blocks", "nl", "i3d")), rows, strict=True
            )
        ),
        "Both lengths are of the same videos, and the answers of half of the queries are in the second half: 4 frames "
        "reach an accuracy of 0.75 at best. Each difference is to the C2D of the same length.",
    ),
}
