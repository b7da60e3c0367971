"""Where panels lie on a sheet."""

import pytest

from wholeframe.explain.pictures.sheet import Panel, lay_out


def boxes(strips):
    figure = lay_out(strips).figure
    return [axis.get_position(original=True).bounds for axis in figure.axes]


def panel(tall=0.7, wide=False, title="one\ntwo"):
    return Panel(title, tall, lambda axis: None, wide)


def overlap(one, other):
    return all(one[k] < other[k] + other[k + 2] and other[k] < one[k] + one[k + 2] for k in (0, 1))


@pytest.mark.parametrize(
    "strips",
    [
        [[panel()]],
        [[panel() for _ in range(9)], [panel(2)], [panel(wide=True, tall=0.2), panel(wide=True, tall=0.3)]],
        [[panel(title="a\n" * 6)], [panel(100), panel(0.001)]],
    ],
)
def test_no_panel_overlaps_or_leaves_the_sheet(strips):
    found = boxes(strips)
    assert len(found) == sum(map(len, strips))
    assert all(left >= 0 and low >= 0 and left + w <= 1 and low + h <= 1 for left, low, w, h in found)
    assert not any(overlap(a, b) for index, a in enumerate(found) for b in found[:index])


@pytest.mark.parametrize(("count", "rows"), [(4, [4]), (5, [3, 2]), (9, [3, 3, 3]), (10, [4, 4, 2])])
def test_a_strip_wraps_into_rows_of_up_to_four(count, rows):
    lows = [low for _, low, _, _ in boxes([[panel() for _ in range(count)]])]
    assert [lows.count(low) for low in dict.fromkeys(lows)] == rows


def test_every_strip_begins_a_row():
    (_, first, _, _), (left, second, _, _) = boxes([[panel()], [panel()]])
    assert second < first and left < 0.1


def test_what_moves_is_kept():
    sheet = lay_out([[panel(), Panel("", 1, lambda axis: lambda frame: [frame])]])
    assert [move(3) for move in sheet.moves] == [[3]]
