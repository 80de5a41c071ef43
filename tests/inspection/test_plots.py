from __future__ import annotations

import shutil
import struct
from pathlib import Path
from typing import Any

import pytest

from chargen import api
from chargen.errors import ChargenWarning, CheckpointError, ConfigError
from chargen.inspection import plots
from tests.support import train_tiny

pytest.importorskip("matplotlib")


def size_of(picture: Path) -> tuple[int, int]:
    content = picture.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", content[16:24])
    return width, height


def test_curves_are_drawn_into_the_run(run: Path) -> None:
    picture = api.plot([run])
    assert picture == run / "curves.png"
    width, height = size_of(picture)
    assert width > height > 300


def test_several_runs_are_drawn_together(run: Path, here: Path) -> None:
    other = shutil.copytree(run, here / "another")
    assert api.plot([run, other]) == Path("curves.png")
    assert size_of(Path("curves.png"))
    assert api.plot([run, other], "elsewhere.png") == Path("elsewhere.png")


def test_a_run_without_validation_is_drawn(corpus: Path, tmp_path: Path) -> None:
    run = train_tiny(corpus, tmp_path, max_steps=15, eval_every=100).path
    assert size_of(api.plot([run]))


def test_without_a_step_there_is_nothing_to_draw(run: Path) -> None:
    (run / "metrics.jsonl").unlink()
    with pytest.raises(CheckpointError, match="no step"):
        api.plot([run])


@pytest.mark.filterwarnings("ignore::chargen.errors.ChargenWarning")
def test_a_name_in_chinese_is_no_trouble(run: Path) -> None:
    other = shutil.copytree(run, run.parent / "红楼梦-lstm-1")
    assert size_of(api.plot([other]))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that are saved from now on, without a file."""
    figures: list[Any] = []
    monkeypatch.setattr(plots, "save_figure", lambda figure, out: figures.append(figure))
    return figures


def legend(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def test_runs_of_one_name_are_all_drawn(run: Path, tmp_path: Path, drawn: list[Any]) -> None:
    other = shutil.copytree(run, tmp_path / "elsewhere" / "run")
    third = shutil.copytree(run, tmp_path / "third")
    plots.plot_curves([run, other, third], tmp_path / "curves.png")
    names = [label.rpartition(": ")[0] for label in legend(drawn[0])]
    assert names[::2] == names[1::2] == [str(run), str(other), "third"]


def test_the_legend_tells_what_each_curve_counts(run: Path, drawn: list[Any]) -> None:
    plots.plot_curves([run], run / "curves.png")
    assert legend(drawn[0]) == ["run: training, per piece", "run: validation, per character"]
    assert drawn[0].axes[0].get_ylabel() == "bits"


@pytest.mark.parametrize(
    ("name", "begins"),
    [("c.png", b"\x89PNG"), ("c.svg", b"<?xml"), ("c.pdf", b"%PDF-"), ("C.SVG", b"<?xml")],
)
def test_the_ending_decides_the_format(name: str, begins: bytes, run: Path, here: Path) -> None:
    first = api.plot([run], name).read_bytes()
    assert first.startswith(begins)
    assert b"<svg" in first or not name.lower().endswith("svg")
    assert api.plot([run], name).read_bytes() == first  # neither dates nor random ids


@pytest.mark.parametrize("name", ["c.jpg", "c.tiff", "c", "c.png.txt", ".png"])
def test_another_ending_is_refused_before_anything_else(name: str, here: Path) -> None:
    for draw in (
        lambda: api.plot([], name),
        lambda: api.compare(["x"], out=name),
        lambda: api.gradients(["x"], out=name),
        lambda: api.find_lr("x.txt", out=name),
    ):
        with pytest.raises(ConfigError, match="no format that can be written") as error:
            draw()
        assert error.value.remedy == "End its name in .png, .svg or .pdf."
    assert list(here.iterdir()) == []


def test_characters_without_a_font_are_spelt_out_and_reported(tmp_path: Path) -> None:
    missing = "\U00013000\U00012000"  # an Egyptian and a cuneiform sign
    figure, out = plots.new_figure(3, 2), tmp_path / "curves.svg"
    figure.suptitle(f"a {missing} b")
    with pytest.warns(ChargenWarning, match="No installed font has 𒀀𓀀: .*shows code points"):
        plots.save_figure(figure, out)
    assert figure.get_suptitle() == f"a {''.join(f'[{ord(c):04X}]' for c in missing)} b"
    assert out.read_bytes()
