"""What a prepared corpus holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chargen.corpus.manifest import Manifest
from chargen.corpus.prepared import PreparedCorpus


@dataclass(frozen=True)
class CorpusSummary:
    """A prepared corpus: its folder, its manifest, and files that don't verify."""

    path: Path
    manifest: Manifest
    problems: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": "corpus",
            "path": str(self.path),
            **self.manifest.to_dict(),
            "problems": list(self.problems),
        }


def summarise_corpus(path: Path) -> CorpusSummary:
    """Read a prepared corpus and verify every file of it."""
    corpus = PreparedCorpus.open(path)
    return CorpusSummary(path, corpus.manifest, tuple(corpus.verify()))
