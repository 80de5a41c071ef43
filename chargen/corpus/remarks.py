"""What a user should know of a prepared corpus, in sentences."""

from __future__ import annotations

from chargen.corpus.manifest import Manifest

SHOWN_FILES = 10
_FEW_CHARACTERS = 5_000
_FEW_VALIDATION = 200
_SELDOM = 8
_LITTLE_COVERAGE = 0.95


def text_line(manifest: Manifest) -> str:
    """Name the texts, their encodings, and what the vocabulary covers."""
    sources = manifest.sources
    if len(sources) == 1:
        texts = f"{sources[0].name}: {sources[0].encoding}, {sources[0].encoding_note}"
    else:
        codecs = ", ".join(dict.fromkeys(source.encoding for source in sources))
        texts = f"{file_list([source.name for source in sources])}: {codecs}"
    rest = ""
    if manifest.left_out_distinct:
        kind = "spelt in bytes" if manifest.oov == "bytes" else "<unk>"
        rest = f", the other {manifest.left_out_distinct:,} are {kind}"
    joined = (
        f" {manifest.joined:,} wrapped lines were joined (`unwrap=no` keeps them)."
        if manifest.joined
        else ""
    )
    records = f"{manifest.records.count:,} records, " if manifest.records else ""
    return (
        f"{texts}; {records}{manifest.characters:,} characters, of which the "
        f"{manifest.vocabulary.characters:,} kept cover {manifest.coverage:.2%}{rest}.{joined}"
    )


def file_list(names: list[str]) -> str:
    """Name several files: how many, and the first ones."""
    shown, more = names[:SHOWN_FILES], len(names) - SHOWN_FILES
    others = f" and {more:,} more" if more > 0 else ""
    return f"{len(names):,} files ({', '.join(shown)}{others})"


def remarks_on_sizes(manifest: Manifest) -> list[str]:
    """Report sizes with which little can be learnt, one line each."""
    found = []
    characters = manifest.train.characters
    if characters < _FEW_CHARACTERS:
        found.append(
            f"{characters:,} characters to learn from are too few: a network can only repeat them. "
            "Give a text of 50,000 or more."
        )
    elif characters < _SELDOM * min(manifest.distinct, manifest.vocabulary.characters):
        found.append(
            f"The text has {manifest.distinct:,} different characters in {manifest.characters:,}: "
            "most are seen too seldom to be learnt. Give a longer text."
        )
    if manifest.coverage < _LITTLE_COVERAGE:
        found.append(
            f"The {manifest.vocabulary.characters:,} characters kept are only "
            f"{manifest.coverage:.1%} of the text. Keep more with `vocab_size`."
        )
    if manifest.records and manifest.config.val_frac and not manifest.records.val:
        found.append(
            f"Of {manifest.records.count:,} records none is kept for validation. Give more of "
            "them, or keep a larger share with `val_frac`."
        )
    if 0 < manifest.val.characters < _FEW_VALIDATION:
        found.append(
            f"A validation split of {manifest.val.characters:,} characters measures little. Give "
            "a longer text, or keep a larger share with `val_frac`."
        )
    return found
