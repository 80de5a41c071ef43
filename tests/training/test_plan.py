from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import chargen
from chargen.corpus.preparing import prepare
from chargen.errors import ConfigError, CorpusError
from chargen.options import CorpusConfig, Recipe, TrainConfig
from chargen.runs.folder import RunFolder
from chargen.training import plan as planning
from chargen.training.plan import Plan, TrainRequest, plan
from tests.support import files_in, train_tiny


def planned(text: Path, **training: Any) -> Plan:
    """A plan of the preset small on a text of 1,000 different characters."""
    return plan(TrainRequest(text, text.parent, training={"device": "cpu", **training}))


@pytest.fixture
def short(here: Path) -> Path:
    return a_text(6_600)


@pytest.fixture
def long(here: Path) -> Path:
    return a_text(66_000)


def a_text(characters: int) -> Path:
    path = Path(f"{characters}.txt")
    path.write_text("".join(chr(0x4E00 + n % 1000) for n in range(characters)), encoding="utf-8")
    return path


def test_the_rate_is_that_of_the_batch_which_a_short_text_can_fill(short: Path, long: Path) -> None:
    asked = planned(short).config
    filled = planned(short, batch_size=16).config
    whole = planned(long, dropout=0.1).config
    assert (asked.training.batch_size, asked.asked) == (16, {"batch_size": 32})
    assert (filled.training.batch_size, filled.asked) == (16, {})
    assert (whole.training.batch_size, whole.asked) == (32, {})
    assert asked.training == filled.training
    assert asked.training.lr == pytest.approx(whole.training.lr / 2**0.5, rel=1e-3)


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"batch_size": 0}, "`batch_size` is 0"),
        ({"seq_length": 0}, "`seq_length` is 0"),
        ({"seed": -1}, "`seed` is -1"),
        ({"seed": 2**63}, "`seed` is"),
        ({"hidden_size": None}, "`hidden_size` is None"),
        ({"epochs": 1, "max_steps": 2}, "`epochs` and `max_steps` contradict each other"),
        ({"max_steps": 2, "max_minutes": 1}, "`max_steps` and `max_minutes` contradict"),
        ({"cell": "gru", "activation": "relu"}, "`activation` has no meaning"),
        ({"num_layers": 2, "cell": "rnn,gru,lstm"}, "`cell` names 3 layers"),
        ({"num_layers": 1, "cell": "gru,lstm"}, "`cell` names 2 layers"),
        ({"num_layers": 1, "cell": 3}, "`cell` is 3, not a string"),
        ({"cell": 3}, "`cell` is 3, not a string"),
        ({"cell": "gru,x"}, "`cell` is 'gru,x'"),
        ({"preset": "lecture", "tie_weights": True}, "`tie_weights` needs an embedding"),
        ({"patience": 1, "val_frac": 0}, "`val_frac=0`"),
        ({"vocab_size": 0}, "`vocab_size` is 0"),
        ({"gap_share": 0.1}, "`gap_share` is for the task infill, and `task` is lm"),
        ({"gap_share": 0.7, "task": "infill"}, "`gap_share` is 0.7, not at least 0 and at most 2/"),
        ({"label_dropout": 0.3, "task": "infill"}, "`label_dropout` is for the task lm"),
    ],
    ids=str,
)
def test_what_is_not_usable_is_told_before_anything_is_written(
    given: dict[str, Any], part: str, short: Path, here: Path
) -> None:
    before = files_in(here)
    with pytest.raises(ConfigError) as caught:
        chargen.train(short, **given)
    assert part in caught.value.message
    assert files_in(here) == before


def test_a_text_without_labels_has_none_to_leave_out(short: Path, here: Path) -> None:
    with pytest.raises(ConfigError, match="`label_dropout` leaves labels out, and the corpus has"):
        chargen.train(short, label_dropout=0.1)
    assert train_tiny(short, short.parent, label_dropout=0, gap_share=0.15, max_steps=1).steps == 1
    assert not (here / "checkpoints").exists()


def test_all_that_is_not_usable_is_told_at_once(short: Path, here: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        chargen.train(
            short,
            preset="huge",
            cell="nonsense",
            lr=-1.0,
            seed=-1,
            val_frac=2,
            oov="drop",
        )
    for part in ("'huge'", "'nonsense'", "`lr` is -1", "`seed`", "`val_frac` is 2", "'drop'"):
        assert part in caught.value.message
    assert list(files_in(here)) == [short.name]


BEFORE_TORCH = {
    "an option": "chargen.train('text.txt', lr=-1)",
    "two that contradict each other": "chargen.train('text.txt', epochs=1, max_steps=1)",
    "a setting": "chargen.train('text.txt', val_frac=2)",
    "an unknown option": "chargen.train('text.txt', hidden=3)",
    "a preset": "chargen.train('text.txt', preset='huge')",
    "a name": "chargen.train('text.txt', name='a/b')",
    "a name that is taken": "chargen.train('text.txt', name='taken')",
    "a text": "chargen.train('missing.txt')",
    "an option of a resumed run": "chargen.train(resume=True, lr=-1)",
}


@pytest.mark.parametrize("what", BEFORE_TORCH)
def test_torch_is_not_imported_to_refuse(what: str, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("some text\n" * 20, encoding="utf-8")
    (tmp_path / "checkpoints" / "taken").mkdir(parents=True)
    code = f"""
import sys
import chargen
from chargen.errors import ChargenError
try:
    {BEFORE_TORCH[what]}
except ChargenError:
    assert "torch" not in sys.modules
else:
    raise AssertionError("not refused")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"text.txt", "checkpoints"}


def test_a_text_without_anything_to_learn_is_an_error(here: Path) -> None:
    Path("text.txt").write_text("字", encoding="utf-8")
    with pytest.raises(CorpusError):
        planned(Path("text.txt"))


def test_patience_needs_a_validation_split_in_a_prepared_corpus(short: Path) -> None:
    whole = prepare([short], Path("whole"), CorpusConfig(val_frac=0))
    with pytest.raises(ConfigError, match=r"`patience` needs .* the corpus has none"):
        planned(whole.path, patience=2)


def test_options_come_before_the_preset_and_the_preset_before_what_suits(short: Path) -> None:
    training = {"device": "cpu", "lr": 0.5}
    made = plan(TrainRequest(short, Path(), preset="tiny", training=training)).config
    assert (made.training.lr, made.training.batch_size, made.training.warmup_steps) == (0.5, 4, 10)
    assert (made.model.hidden_size, made.model.tie_weights) == (32, False)
    suited = planned(short).config
    assert (suited.model.embedding_size, suited.model.tie_weights) == (128, True)
    assert suited.training.warmup_steps == TrainConfig.warmup_steps


@pytest.mark.parametrize("preset", ["small", "large"])
def test_cells_that_are_listed_need_no_number_of_layers(preset: str, short: Path) -> None:
    asked = TrainRequest(short, short.parent, preset, model={"cell": "rnn,gru,lstm"})
    assert plan(asked).config.model.num_layers == 3


def test_a_new_run_records_its_recipe_and_trains_by_it(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = train_tiny(corpus, tmp_path / "plain")
    other = Recipe(adamw_betas=(0.5, 0.9))
    with monkeypatch.context() as patched:
        patched.setattr(planning, "Recipe", lambda: other)
        run = train_tiny(corpus, tmp_path / "other")
    assert RunFolder(plain.path).read_config().recipe == Recipe()
    assert RunFolder(run.path).read_config().recipe == other
    one, two = (RunFolder(each.path).load_model().weights_sha256 for each in (plain, run))
    assert one != two


def test_a_default_text_is_named(here: Path) -> None:
    made = plan(TrainRequest(None, here, training={"device": "cpu"}))
    assert made.notes[0].startswith("No text was named: training on the shipped text ")
    assert made.notes[0].endswith(".txt.")
