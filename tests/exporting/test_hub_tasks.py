"""A run of any task goes on in the folder for a hub, without its corpus, and its card shows it."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chargen
from chargen.corpus.shipped import shipped_text
from tests.support import call, metrics, the_error, train_tiny

yaml = pytest.importorskip("yaml", reason="the extra bench has PyYAML")

LINES = ("春眠不觉晓", "处处闻啼鸟", "夜来风雨声", "花落知多少")
LABELLED = "text,author\n" + "".join(
    f"{line},{('孟', '<李>')[n % 2]}\n" for n, line in enumerate(LINES * 8)
)
TASKS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "classify": (
        "poems.csv",
        LABELLED,
        {"label_key": "author", "bidirectional": True, "ngram": 2},
    ),
    "seq2seq": (
        "pairs.tsv",
        "src\ttrg\n" + f"{LINES[0]}\t{LINES[1]}\n{LINES[2]}\t{LINES[3]}\n" * 12,
        {"bidirectional": True, "also_reversed": True, "ngram": 2},
    ),
    "infill": ("lines.txt", "\n".join((*LINES, "-`\\n <i>") * 8), {}),
    "lm": ("poems.csv", LABELLED, {"label_key": "author"}),
}
"""A small text for each task, and the options with which it is learnt."""
HEADS = {
    "classify": ("text-classification", ["accuracy", "f1", "bits_per_label"]),
    "seq2seq": ("text-generation", ["bits_per_character"]),
    "infill": ("fill-mask", ["accuracy", "bits_per_character"]),
    "lm": ("text-generation", ["bits_per_character"]),
}
EXAMPLES: dict[str, tuple[str, ...]] = {
    "classify": ("春眠不觉晓\n处处闻啼鸟", "花落"),
    "seq2seq": ("夜来\n风雨声", "花落知多少"),
    "infill": ("-`\\n□□i>", "□落知多少"),
    "lm": (),
}


@dataclass(frozen=True)
class Taken:
    """Exports of a run that is gone, and what it did.

    Attributes:
        folder, narrow: with weights of float32 and float16.
        done: with the examples.
        vectors: of LINES.
        evaluation: of its weights, as it was recorded.
        again: weights that the card's command trained.
    """

    task: str
    folder: Path
    narrow: Path
    sha256: str
    done: list[str]
    vectors: Any
    evaluation: dict[str, Any]
    again: str


@pytest.fixture(scope="module", params=TASKS)
def taken(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Taken:
    task, here = request.param, tmp_path_factory.mktemp("hub")
    name, content, options = TASKS[task]
    corpus = here / "corpus"
    corpus.mkdir()
    (corpus / name).write_text(content, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(corpus)
        settings = {"task": task, "threads": 1, "max_steps": 3, **options}
        run = train_tiny(name, corpus, **settings).path
        wanted = {"to": "hub", "license": "mit", "example": EXAMPLES[task]}
        folder = chargen.export(run, here / "folder", **wanted)
        narrow = chargen.export(run, here / "narrow", weights="float16", **wanted)
        training = re.search(r"^chargen (train .+)$", card_of(folder), re.M)
        assert training
        called = call(*shlex.split(training[1]), "--runs", "more", "--name", "x", "--threads", 1)
        assert called.exit_code == 0, called.output
        model = chargen.load(run, device="cpu")
        found = Taken(
            task,
            folder,
            narrow,
            model.loaded.weights_sha256,
            what_is_done(model, task),
            model.embed(LINES),
            [each for each in metrics(run) if each.get("best")][-1],
            chargen.load("more/x", device="cpu").loaded.weights_sha256,
        )
    shutil.rmtree(corpus)
    return found


def card_of(folder: Path) -> str:
    return (folder / "README.md").read_text("utf-8")


def what_is_done(model: Any, task: str) -> list[str]:
    """What a model makes of the examples, in the words of a card."""
    texts = EXAMPLES[task]
    if task == "classify":
        told = [each.best for each in model.classify(texts, best=3)]
        return [", ".join(f"{label} {100 * p:.0f} %" for label, p in best) for best in told]
    if task == "seq2seq":
        return list(model.answer(texts, beam_size=8))
    if task == "infill":
        return [str(model.infill(text)[0]) for text in texts]
    return list(model.generate(temperature=0.7, length=240, label="author=孟", seed=0))


def test_the_folder_does_what_the_run_did(taken: Taken) -> None:
    model = chargen.load(taken.folder, device="cpu")
    assert model.loaded.weights_sha256 == taken.sha256
    assert what_is_done(model, taken.task) == taken.done
    np.testing.assert_array_equal(model.embed(LINES), taken.vectors)
    rounded = chargen.load(taken.narrow, device="cpu")
    np.testing.assert_allclose(rounded.embed(LINES), taken.vectors, atol=2e-3)
    assert chargen.inspect(taken.narrow).problems == ()


def test_inspect_tells_of_the_folder_what_is_known(taken: Taken) -> None:
    shown = " ".join(call("inspect", taken.folder, env={"COLUMNS": "200"}).stdout.split())
    traits = {
        "classify": "units, read in both directions; |V|",
        "seq2seq": "units, encoder in both directions, dot attention, pairs learnt the other way "
        "round as well; |V|",
        "infill": "units, read from both ends; |V|",
        "lm": "units; |V|",
    }
    unit = "label" if taken.task == "classify" else "character"
    assert traits[taken.task] in shown
    assert "history unknown: the folder has no record of the training" in shown
    assert f"best {taken.evaluation['bits_per_char']:.4f} bits per {unit}" in shown
    assert "files all intact" in shown
    for entry in chargen.list_runs(taken.folder.parent):
        bits = taken.evaluation["bits_per_char"]
        assert (entry.steps, entry.bits_per_char) == (taken.evaluation["step"], bits)


def test_the_card_has_the_task_s_figures_and_command(taken: Taken) -> None:
    card = card_of(taken.folder)
    facts = yaml.safe_load(card.split("---")[1])
    pipeline, names = HEADS[taken.task]
    assert (facts["pipeline_tag"], facts["metrics"]) == (pipeline, names)
    ((result,),) = [each["results"] for each in facts["model-index"]]
    values = {each["type"]: each["value"] for each in result["metrics"]}
    recorded = {
        "accuracy": taken.evaluation["accuracy"],
        "f1": taken.evaluation.get("macro_f1"),
        names[-1]: taken.evaluation["bits_per_char"],
    }
    assert values == {name: pytest.approx(recorded[name], abs=1e-4) for name in names}
    assert taken.again == taken.sha256
    if taken.task in ("classify", "lm"):
        assert re.search(r"\| author \| 孟 \(\d+\), \\<李\\> \(\d+\) \|", card)


def test_the_card_shows_what_its_commands_show(
    taken: Taken, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(taken.folder)
    card = card_of(taken.folder)
    _, sample = card.split("## A sample")
    shown = sample.split("```")[1].removeprefix("text\n").rstrip("\n")
    pairs = zip(EXAMPLES[taken.task], taken.done, strict=False)
    expected = [f"{text}\n→ {done}" for text, done in pairs] or taken.done
    assert shown == "\n".join(expected)
    command = re.search(r"^`+chargen (.+?)`+$", sample, re.M)
    assert command
    out = call(*shlex.split(command[1])).stdout
    ticks = max(map(len, re.findall("`+", command[1])), default=0)
    assert f"\n{'`' * (ticks + 1)}chargen {command[1]}{'`' * (ticks + 1)}\n" in sample
    if taken.task == "classify":
        labels = [json.loads(line)["label"] for line in out.splitlines()]
        assert labels == [line.split()[0] for line in taken.done]
    else:
        assert out.rstrip("\n").endswith(taken.done[0])
    exec(re.findall(r"^```python\n(.*?)^```$", card, re.M | re.S)[0])
    printed = capsys.readouterr().out
    assert printed.endswith("\n")  # a language model's text is a random one
    if taken.task in ("seq2seq", "infill"):
        assert printed == f"{taken.done[0]}\n"
    elif taken.task == "classify":
        assert taken.done[0].split()[0] in printed


@pytest.mark.parametrize("known", ["riverside", "other"])
def test_lines_of_a_shipped_text_stand_in_for_examples(
    known: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = shipped_text("riverside").read_text("utf-8")
    path = tmp_path / "text.txt"
    path.write_bytes((text if known == "riverside" else text[:3000]).encode("utf-8"))
    run = train_tiny(path, tmp_path, task="infill", max_steps=1).path
    out = chargen.export(run, tmp_path / "en", to="hub", license="mit", language="en")
    _, sample = card_of(out).split("## A sample")
    assert ("and that the model has learnt from" in sample) == (known == "riverside")
    assert "\nIt was autu□□, and the road was full of mud.\n→ It was autu" in sample
    none = chargen.export(run, tmp_path / "xx", to="hub", license="mit")
    assert "## A sample" not in card_of(none)
    command = re.search(r"^chargen (infill .+)$", card_of(none), re.M)
    assert command
    monkeypatch.chdir(none)
    assert call(*shlex.split(command[1])).exit_code == 0


def test_options_that_can_t_be_used_are_errors(taken: Taken, here: Path) -> None:
    words = ("export", taken.folder, "--to", "hub", "--license", "mit", "-o", "x", "--example")
    if taken.task == "classify":
        wrong = the_error(*words[:-1], "--drop-ngrams", 2, status=2)
        assert "mixes no counts in" in wrong
        assert "has 4,097 characters" in the_error(*words, "春" * 4097, status=2)
    if taken.task == "lm":
        assert "writes its sample by itself" in the_error(*words, "春", status=2)
    elif taken.task == "infill":
        assert "has no gap" in the_error(*words, "春眠不觉晓", status=2)
        assert "an --example is blank" in the_error(*words, " ", status=2)
        assert "The --example '□XY' has 'X', 'Y'" in the_error(*words, "□XY", status=1)
    elif taken.task == "seq2seq":
        wrong = the_error(*words, "XY", status=1)
        assert "The --example 'XY' has 'X', 'Y'" in wrong
    assert not Path("x").exists()


def test_a_classifier_goes_without_its_counts(taken: Taken, here: Path) -> None:
    if taken.task != "classify":
        return
    chargen.export(taken.folder, "x", to="hub", license="mit", ngram=False)
    own = chargen.load(taken.folder, device="cpu", ngram=False).classify(LINES)
    assert chargen.load("x", device="cpu").classify(LINES) == own
