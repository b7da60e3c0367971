"""Area of a polygon, and the box around several."""

from wholeframe.data.detection.polygons import box_around, enclosed


def test_polygons():
    square, triangle = [2, 3, 12, 3, 12, 11, 2, 11], [0, 0, 0, 4, 3, 0]
    backwards = [2, 11, 12, 11, 12, 3, 2, 3]
    assert enclosed(square) == enclosed(backwards) == 80
    assert enclosed(triangle) == 6 and enclosed([1, 1, 2, 2, 3, 3]) == 0
    assert box_around([square, triangle]) == (0, 0, 12, 11)
