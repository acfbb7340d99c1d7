"""The curves of the report."""

import math
import xml.etree.ElementTree as Xml

import pytest

from espalier.evaluation.curves import MOST_POINTS, curves, picture, points, smooth, thin, ticks

EVENTS = [{"kind": "step", "step": n, "loss": 1 / n, "accuracy": 0.5, "seconds": 1.0} for n in range(1, 9)]
EVENTS += [{"kind": "eval", "step": 8, "loss": 0.2, "best": True}, {"kind": "save", "step": 8, "path": "p"}]


def test_what_is_measured_is_drawn_and_bookkeeping_is_not():
    found = curves(EVENTS)
    assert [title for title, _ in found] == ["loss", "accuracy"]
    root = Xml.fromstring(f"<figure>{found[0][1]}</figure>")
    assert len(root.findall(".//polyline")) == 2 and len(root.findall(".//circle")) == 1
    assert curves([]) == []


def test_one_step_is_no_curve():
    assert curves(EVENTS[:1]) == []


def test_values_that_are_no_numbers_are_left_out():
    assert points([{"step": 1, "x": math.nan}, {"step": 2, "x": "a"}, {"step": 3, "x": 1}], "x") == [(3.0, 1.0)]


def test_property_a_running_mean_of_a_constant_is_the_constant():
    assert [value for _, value in smooth([(n, 2.5) for n in range(50)])] == pytest.approx([2.5] * 50)


def test_long_curves_are_thinned_and_keep_their_ends():
    long = [(float(n), 0.0) for n in range(10_001)]
    found = thin(long)
    assert len(found) <= MOST_POINTS + 1 and found[0] == long[0] and found[-1] == long[-1]


@pytest.mark.parametrize(("low", "high"), [(0.43, 0.71), (-3, 5), (0, 0), (1e-9, 2e-9), (4, 4), (12_000, 80_000)])
def test_property_ticks_enclose_the_values(low, high):
    marks = ticks(low, high)
    assert marks[0] <= low + 1e-12 and marks[-1] >= high - 1e-12 and 3 <= len(marks) <= 8


def test_every_point_is_inside_the_picture():
    svg = picture([("a", "line", [(1.0, -5.0), (2.0, 5.0), (3.0, 0.1)])])
    root = Xml.fromstring(f"<figure>{svg}</figure>")
    places = [tuple(map(float, place.split(","))) for place in root.find(".//polyline").get("points").split()]
    assert all(0 <= x <= 640 and 0 <= y <= 220 for x, y in places) and places[0][1] > places[1][1]
