from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from chargen.runs import folder as runs_folder
from chargen.runs import tensors as tensors_module
from chargen.runs.folder import RunFolder
from chargen.runs.tensors import Kind, digest, read_facts, read_tensors, write_tensors
from tests.runs.damage import rewrite, the_error


def test_tensors_come_back_bit_for_bit(tmp_path: Path) -> None:
    tensors = {
        "a": torch.randn(3, 4).T,  # not contiguous
        "b": torch.arange(3, dtype=torch.int64),
        "c": torch.tensor(float("nan")),
        "d": torch.tensor([1, 2], dtype=torch.uint8),
    }
    sha256 = write_tensors(tmp_path / "file", tensors, step=7, bits_per_char=1.5)
    found, facts = read_tensors(tmp_path, "file")
    assert {n: (t.dtype, t.shape) for n, t in found.items()} == {
        n: (t.dtype, t.shape) for n, t in tensors.items()
    }
    assert digest(found) == digest(tensors) == sha256 == facts.sha256
    assert (facts.step, facts.bits_per_char) == (7, 1.5)
    assert read_facts(tmp_path, "file") == facts


def test_a_file_that_is_replaced_while_it_is_opened_is_read_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """safetensors opens a path twice: for the header, and for the numbers."""
    path, newer = tmp_path / "model.safetensors", tmp_path / "newer"
    old = write_tensors(path, {"w": torch.zeros(3)}, 1)
    write_tensors(newer, {"w": torch.ones(3)}, 2)
    from_file = torch.UntypedStorage.from_file

    def late(*arguments: object, **more: object) -> torch.UntypedStorage:
        newer.replace(path)
        return from_file(*arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(torch.UntypedStorage, "from_file", late)
    tensors, facts = read_tensors(tmp_path, path.name)
    assert not newer.exists()
    assert (facts.sha256, facts.step, tensors["w"].tolist()) == (old, 1, [0.0, 0.0, 0.0])


def test_a_digest_tells_names_shapes_and_numbers_apart() -> None:
    tensors = {"a": torch.zeros(2, 3), "b": torch.ones(2)}
    others = [
        {"a": torch.zeros(3, 2), "b": torch.ones(2)},
        {"c": torch.zeros(2, 3), "b": torch.ones(2)},
        {"a": torch.zeros(2, 3, dtype=torch.int32), "b": torch.ones(2)},
        {"a": torch.zeros(2, 3), "b": torch.ones(2) + 1e-7},
    ]
    assert len({digest(each) for each in [tensors, *others]}) == 5
    assert digest(dict(reversed(tensors.items()))) == digest(tensors)


@pytest.mark.parametrize("keep", [0, 5, 100, 0.5, -1])
def test_truncated_weights_are_told(run: Path, keep: float) -> None:
    path = run / "model.safetensors"
    content = path.read_bytes()
    size = int(keep * len(content)) if isinstance(keep, float) else keep
    path.write_bytes(content[:size])
    assert str(path) in the_error(run).message


def test_changed_weights_are_told(run: Path) -> None:
    path = run / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    assert "digest differs" in the_error(run).message


def test_a_missing_tensor_is_named(run: Path) -> None:
    rewrite(run / "model.safetensors", lambda tensors: tensors.pop("table"))
    assert "table is missing" in the_error(run).message


def test_a_misshapen_tensor_is_named(run: Path) -> None:
    rewrite(run / "model.safetensors", lambda t: t.update(table=t["table"][:, :-1].clone()))
    message = the_error(run).message
    assert "table is (" in message
    assert ", not (" in message


def test_a_foreign_tensor_is_named(run: Path) -> None:
    rewrite(run / "model.safetensors", lambda t: t.update(other=torch.ones(2)))
    assert "other is not of this network" in the_error(run).message


def test_another_type_is_named(run: Path) -> None:
    rewrite(run / "model.safetensors", lambda t: t.update(table=t["table"].double()))
    assert "of float64, not (" in the_error(run).message


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_told(number: float, run: Path) -> None:
    rewrite(run / "model.safetensors", lambda tensors: tensors["table"][3].fill_(number))
    assert "table has numbers that are not finite" in the_error(run).message


def test_large_numbers_whose_sum_is_infinite_are_numbers(tmp_path: Path) -> None:
    tensors = {"a": torch.full((4,), 3e38)}
    write_tensors(tmp_path / "file", tensors, step=1)
    wanted = {"a": Kind(torch.float32, (4,))}
    assert torch.equal(read_tensors(tmp_path, "file", wanted)[0]["a"], tensors["a"])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (rb"\"step\": 4", rb"\"step\": 5"),
        (rb"\"bits_per_char\": ", rb"\"bits_per_cart\": "),
        (rb"\"facts_sha256\": ", rb"\"facts_sha255\": "),
        (b'"chargen":', b'"chargem":'),
    ],
)
def test_a_changed_description_is_told(old: bytes, new: bytes, run: Path) -> None:
    path = run / "model.safetensors"
    content = path.read_bytes()
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, new))
    assert "model.safetensors is damaged" in the_error(run).message


def test_many_problems_stay_one_line(run: Path) -> None:
    rewrite(run / "model.safetensors", lambda tensors: tensors.clear())
    assert len(the_error(run).message) < 500


def test_another_programs_tensors_are_told(run: Path) -> None:
    save_file({"weight": torch.ones(2)}, run / "model.safetensors")
    the_error(run)


def test_no_pickle_is_ever_read(run: Path) -> None:
    torch.save({"table": torch.ones(2)}, run / "model.safetensors")
    the_error(run)


def test_weights_are_hashed_once(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    for module in (runs_folder, tensors_module):
        monkeypatch.setattr(module, "digest", lambda t: (seen.append(len(t)), digest(t))[1])
    loaded = RunFolder(run).load_model()
    assert len(seen) == 1
    assert loaded.weights_sha256 == digest(loaded.model.state_dict())
    (run / "model.safetensors").unlink()
    last = RunFolder(run).load_model()
    assert last.weights_sha256 == digest(last.model.state_dict())
