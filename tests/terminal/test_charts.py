from __future__ import annotations

from chargen.terminal.charts import line_chart


def test_a_straight_line_is_a_straight_line() -> None:
    lines = line_chart([("*", [(0, 4.0), (4, 0.0)])], ends=("0", "4"), width=15, height=8)
    assert lines == [
        "4.000 ┤*",
        "      │ *",
        "      │  *",
        "      │   *",
        "      │    *",
        "      │     *",
        "      │      *",
        "0.000 ┤       *",
        "      └────────",
        "       0      4",
    ]


def test_curves_share_both_axes() -> None:
    curves = [("1", [(0.0, 1.0), (10.0, 1.0)]), ("2", [(5.0, 3.0), (20.0, 3.0)])]
    assert line_chart(curves, ends=("0", "20 steps"), width=28, height=3) == [
        "3.000 ┤     2222222222222222",
        "      │",
        "1.000 ┤11111111111",
        "      └─────────────────────",
        "       0            20 steps",
    ]


def test_a_point_is_one_mark_on_the_curve() -> None:
    curves = [("•", [(0.0, 0.0), (7.0, 0.0)]), ("▲", [(4.0, 0.0)])]
    assert line_chart(curves, ends=("", ""), width=15, height=2)[0] == "0.000 ┤••••▲•••"


def test_a_flat_curve_and_a_single_point_are_drawn() -> None:
    alone = line_chart([("•", [(1.0, 2.0)])], ends=("", ""), width=20)
    assert [line.count("•") for line in alone[:2]] == [1, 0]
    flat = line_chart([("•", [(1.0, 2.0), (2.0, 2.0)])], ends=("", ""), width=20)
    assert flat[0] == "2.000 ┤" + "•" * 13
