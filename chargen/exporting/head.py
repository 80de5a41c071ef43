"""The head of a card: the metadata by which a hub lists a model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from chargen.exporting.language import language_of
from chargen.exporting.results import F1, bits_of
from chargen.options import ExportConfig
from chargen.runs.loaded import LoadedModel

_PIPELINES = {
    "lm": "text-generation",
    "classify": "text-classification",
    "seq2seq": "text-generation",
    "infill": "fill-mask",
}
"""What the hub calls each task; text2text-generation was merged with text-generation in 2025."""
_TAGS = {"seq2seq": ["text2text-generation"]}
_NAMES = {F1: {"name": "macro-F1"}}


def front_matter(
    loaded: LoadedModel, config: ExportConfig, name: str, figures: Mapping[str, float]
) -> str:
    """The YAML between lines of dashes; JSON's values are YAML's."""
    language = config.language or language_of(loaded.tokenizer)
    corpus, model = loaded.config.corpus, loaded.config.model
    pipeline = _PIPELINES[model.task]
    cells = dict.fromkeys(model.layer_cells())
    fields: dict[str, Any] = {"language": language} if language else {}
    fields |= {
        "license": config.license,
        "library_name": "chargen",
        "pipeline_tag": pipeline,
        "tags": ["character-level", "recurrent-neural-network", *cells, *_TAGS.get(model.task, ())],
        "metrics": list(figures) or [bits_of(model.task)],
    }
    if figures:
        metrics = [
            {"type": each, **_NAMES.get(each, {}), "value": round(value, 4)}
            for each, value in figures.items()
        ]
        data = {"type": corpus.name, "name": corpus.name, "split": "validation"}
        result = {"task": {"type": pipeline}, "dataset": data, "metrics": metrics}
        fields["model-index"] = [{"name": name, "results": [result]}]
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items()]
    return "\n".join(["---", *lines, "---"])
