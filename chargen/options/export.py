"""Options of an export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chargen.options.field import Config, option


@dataclass(frozen=True)
class ExportConfig(Config):
    """What a run is exported to."""

    to: str = option(
        "onnx",
        "Form of the export",
        choices={
            "onnx": "one step of the network for other runtimes",
            "hub": "a folder for a model hub, with a card",
            "page": "a static page that runs the model in the browser",
        },
    )
    license: str | None = option(
        None, "Licence of the weights, such as cc0-1.0 or unknown, for the card of a hub"
    )
    language: str | None = option(
        None,
        "Language of the text, such as zh, for the card of a hub",
        default_text="that of the script, where it has one",
    )
    weights: str = option(
        "float32",
        "Number format of the weights of a hub's folder or a page",
        choices={
            "float32": "the command line's texts",
            "float16": "half their size, other texts",
        },
    )
    drop_ngrams: int | None = option(
        None,
        "Length from which on n-grams that occur once are left out; 3 makes the counts several "
        "times smaller",
        low=2,
        default_text="those of the run",
    )
    example: tuple[str, ...] = option(
        (),
        "Text for the sample on the card of a hub, with a gap for infill",
        escaped=True,
        default_text="lines of a shipped text, where one has the language",
    )
    force: bool = option(False, "Replace an existing output")

    @classmethod
    def conflicts_in(cls, values: Mapping[str, Any]) -> list[str]:
        to, found = values.get("to", cls.to), []
        for name in ("license", "language", "example"):
            if values.get(name) and to != "hub":
                found.append(f"`{name}` is for `to=hub`, and `to` is {to}")
        if values.get("weights", cls.weights) != cls.weights and to == "onnx":
            found.append(f"`weights` is for `to=page` and `to=hub`, and `to` is {to}")
        if to == "hub" and not values.get("license"):
            found.append("`to=hub` needs a `license` for its card")
        if any(not text.strip() for text in values.get("example", ())):
            found.append("an `example` is blank")
        return found
