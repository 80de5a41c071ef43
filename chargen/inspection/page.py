"""The report on units as a self-contained HTML page."""

from __future__ import annotations

import base64
import html
import json
from importlib.resources import files

import numpy as np

from chargen.inspection.neurons import NeuronReport


def neuron_page(report: NeuronReport) -> str:
    """Make the HTML page of a report on units.

    Activations are stored as signed bytes; each unit is scaled by its largest absolute value.
    """
    values = report.activations
    shown = len(values)
    largest = np.abs(values).max(axis=0)
    scaled = np.rint(127 * values / np.where(largest > 0, largest, 1)).astype(np.int8)
    data = {
        "characters": list(report.characters[:shown]),
        "bits": [round(bits, 2) for bits in report.bits[:shown].tolist()],
        "alternatives": [
            [[piece, round(share, 3)] for piece, share in each] for each in report.alternatives
        ],
        "gates": None if report.gates is None else report.gates.round(3).tolist(),
        "units": values.shape[1],
        "largest": [round(value, 3) for value in largest.tolist()],
        "activations": base64.b64encode(scaled.tobytes()).decode("ascii"),
        "followed": report.ranking()["followed"],
    }
    # Escape "<", so that "</script>" in a text can't end the script element.
    as_json = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
    template = files("chargen.inspection").joinpath("neurons.html").read_text("utf-8")
    return template.replace("{{run}}", html.escape(report.run)).replace("{{data}}", as_json)
