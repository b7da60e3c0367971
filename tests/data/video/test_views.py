"""Views of a video: how many forward passes, and the text `CLIPSxCROPS`."""

import pytest

from wholeframe.data.video.views import ONCE, PUBLISHED, Views, read_views


@pytest.mark.parametrize(
    ("text", "views", "count"),
    [("10x3", PUBLISHED, 30), ("1x1", ONCE, 1), ("10xfull", Views(10, "full"), 10), ("4x1", Views(4, "centre"), 4)],
)
def test_read_and_printed(text, views, count):
    assert read_views(text) == views and str(views) == text and views.count == count


@pytest.mark.parametrize("text", ["", "10", "x3", "0x3", "-1x3", "10x2", "10xthree", "10x3x1"])
def test_other_texts_are_refused(text):
    with pytest.raises(ValueError, match="is not CLIPSxCROPS: 10x3 takes ten clips"):
        read_views(text)
