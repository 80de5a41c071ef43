"""Make small runs in the format of this release: see README.md in this folder."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RUNS: dict[str, dict[str, Any]] = {
    "gru": {"cell": "gru", "num_layers": 2, "tie_weights": True, "dropout": 0.2},
    "ctrnn": {"cell": "ctrnn", "dt": 0.5, "optimizer": "sgd", "lr": 0.3, "embedding_size": 0},
    "further": {"init_from": "gru", "optimizer": "rmsprop", "lr": 0.005},
    "counted": {"cell": "lstm", "ngram": 3},
}
"""What each run is trained with; the third begins with the weights of the first."""
OPTIONS = {
    "preset": "tiny",
    "hidden_size": 12,
    "embedding_size": 8,
    "threads": 1,
    "device": "cpu",
    "save_every": 8,
    "eval_every": 8,
}
PROMPTS = (("", 0), ("The cat ", 1), ("猫", 2))


def make(out: Path) -> None:
    """Prepare the text, train the runs, and record what is expected of them."""
    import chargen

    out.mkdir()
    shutil.copy(HERE / "run-v1" / "story.txt", out)
    os.chdir(out)
    chargen.prepare("story.txt", "corpus")
    expected = {}
    for name, options in RUNS.items():
        given: dict[str, Any] = {**OPTIONS, **options}
        if "init_from" in options:
            del given["hidden_size"], given["embedding_size"]
        chargen.train("corpus", name=name, runs_dir=".", max_steps=20, **given)
        expected[name] = {**_sampled(Path(name)), "resumed": _resumed(Path(name))}
        (Path(name) / ".lock").unlink(missing_ok=True)
    text = json.dumps(expected, ensure_ascii=False, indent=2)
    Path("expected.json").write_text(text + "\n", encoding="utf-8")


def _sampled(run: Path) -> dict[str, Any]:
    import chargen
    from chargen.generation.seeds import sample_seed

    generator = chargen.load(run, device="cpu")
    samples = [
        {"prompt": prompt, "seed": seed, "length": 60, "text": text}
        for prompt, seed in PROMPTS
        for text in generator.generate(prompt, seed=sample_seed(seed, 0), length=60)
    ]
    return {"weights_sha256": generator.loaded.weights_sha256, "samples": samples}


def _resumed(run: Path) -> dict[str, Any]:
    """What a copy of a run reaches with ten steps more."""
    import chargen

    copy = Path(shutil.copytree(run, run.with_name("copy")))
    done = chargen.train("corpus", name=copy.name, runs_dir=".", resume=True, max_steps=30)
    shutil.rmtree(copy)
    return {"max_steps": 30, "bits_per_char": done.bits_per_char}


if __name__ == "__main__":
    make(Path(sys.argv[1]))
