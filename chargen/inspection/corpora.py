"""Summary of a prepared corpus."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chargen.corpus.manifest import Manifest, read_manifest
from chargen.corpus.prepared import problems_in


@dataclass(frozen=True)
class CorpusSummary:
    """The contents and the state of a prepared corpus.

    Attributes:
        path: its folder.
        manifest: its description.
        problems: contradictions to the manifest, one line each.
    """

    path: Path
    manifest: Manifest
    problems: tuple[str, ...]

    def __repr__(self) -> str:
        files = "files intact" if not self.problems else f"{len(self.problems)} problems"
        return f"<CorpusSummary {self.path}: {self.manifest.characters:,} characters, {files}>"

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": "corpus",
            "path": str(self.path),
            **self.manifest.to_dict(),
            "problems": list(self.problems),
        }


def summarise_corpus(path: Path) -> CorpusSummary:
    """Read all of a prepared corpus, and list what is wrong with its files.

    Raises:
        CorpusError: the manifest is missing, damaged, or of an unknown version.
    """
    manifest = read_manifest(path)
    return CorpusSummary(path, manifest, tuple(problems_in(path, manifest)))
