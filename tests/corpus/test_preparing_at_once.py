from __future__ import annotations

import os
import shutil
import signal
import threading
from pathlib import Path

import pytest
from filelock import FileLock

from chargen.corpus.prepared import PreparedCorpus
from chargen.corpus.preparing import prepare
from chargen.corpus.progress import PrepareProgress
from chargen.errors import CorpusError
from chargen.files import UNFINISHED
from chargen.options import CorpusConfig
from tests.corpus.texts import CHINESE, ENGLISH, contents, text_of, write
from tests.processes import PIPE, start_script


def lock_of(out: Path) -> Path:
    return out.parent / f"{UNFINISHED}{out.name}.lock"


def test_whoever_comes_second_waits_and_uses_what_the_first_made(
    tmp_path: Path, source: Path
) -> None:
    out = tmp_path / "out"
    ready = prepare([source], tmp_path / "ready", CorpusConfig()).path
    phases: list[str] = []
    done: list[PreparedCorpus] = []
    waits = threading.Event()

    def note(progress: PrepareProgress) -> None:
        phases.append(progress.phase)
        waits.set()

    def second() -> None:
        done.append(prepare([source], out, CorpusConfig(), note))

    with FileLock(lock_of(out)):
        thread = threading.Thread(target=second)
        thread.start()
        assert waits.wait(20)
        assert not done
        shutil.copytree(ready, out)
    thread.join(20)
    assert done[0].path == out
    assert set(phases) == {"wait"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "ready", "text.txt"]


PAIR = """
import sys
from pathlib import Path
from chargen.options import CorpusConfig
from chargen.corpus.preparing import prepare

text, size = Path(sys.argv[1]), int(sys.argv[2])
wanted = text.read_text("utf-8")
for turn in range(8):
    for out in (None, Path("shared")):
        config = CorpusConfig(vocab_size=size + turn)
        corpus = prepare([text], out, config, force=out is not None)
        found = corpus.tokenizer.decode(corpus.train) + corpus.tokenizer.decode(corpus.val)
        assert found == wanted, out
        assert corpus.manifest.config == config, out
"""


def test_two_processes_never_get_each_others_corpus(here: Path) -> None:
    for name, text in (("a", CHINESE), ("b", ENGLISH)):
        (here / name).mkdir()
        write(here / name / "novel.txt", text * 3)
    arguments = [("a/novel.txt", "5"), ("b/novel.txt", "5"), ("a/novel.txt", "5")]
    processes = [start_script(PAIR, *each, stderr=PIPE, text=True) for each in arguments]
    for process in processes:
        assert process.communicate(timeout=120)[1] == ""
    assert not list(here.rglob(f"{UNFINISHED}*"))


KILLED = """
import os, signal, sys
from pathlib import Path
from chargen.options import CorpusConfig
from chargen.corpus.preparing import prepare

def kill(progress):
    if progress.phase == "encode" and progress.done:
        os.kill(os.getpid(), signal.SIGKILL)

prepare([Path(sys.argv[1])], None, CorpusConfig(), kill)
"""


@pytest.fixture
def killed(here: Path) -> Path:
    """``corpora/`` after a kill in the middle of the preparation of ``a.txt``."""
    if os.name == "nt":
        pytest.skip("there is no SIGKILL")
    write(here / "a.txt", CHINESE)
    with start_script(KILLED, "a.txt") as process:
        assert process.wait(60) == -signal.SIGKILL
    assert len(list(Path("corpora").glob(f"{UNFINISHED}a-*"))) == 2  # with the lock file
    return Path("corpora")


def unfinished(folder: Path) -> set[str]:
    return {path.name.split("-")[1] for path in folder.glob(f"{UNFINISHED}*")}


def test_what_a_kill_leaves_is_removed_by_the_same_again(killed: Path) -> None:
    corpus = prepare([Path("a.txt")], None, CorpusConfig())
    assert [path.name for path in killed.iterdir()] == [corpus.path.name]
    assert text_of(corpus) == CHINESE


def test_what_a_kill_leaves_is_removed_by_others_once_nobody_holds_it(killed: Path) -> None:
    write(Path("b.txt"), ENGLISH)
    (lock,) = killed.glob(f"{UNFINISHED}*.lock")
    with FileLock(lock):  # somebody prepares a.txt
        prepare([Path("b.txt")], None, CorpusConfig())
        assert unfinished(killed) == {"a"}
    prepare([Path("b.txt")], None, CorpusConfig(vocab_size=9))
    assert unfinished(killed) == set()
    assert len(list(killed.iterdir())) == 2


def test_a_kill_in_the_middle_of_a_replacement_loses_nothing(tmp_path: Path, source: Path) -> None:
    """The old corpus was moved aside, and the new one isn't in place yet."""
    out = prepare([source], tmp_path / "out", CorpusConfig()).path
    before = contents(out)
    aside = tmp_path / f"{UNFINISHED}out-abcdefgh.old"
    aside.mkdir()
    out.rename(aside / "out")
    with pytest.raises(CorpusError, match="other texts"):
        prepare([source, source], out, CorpusConfig())
    assert contents(out) == before
    assert not list(tmp_path.glob(f"{UNFINISHED}*"))
