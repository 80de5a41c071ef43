"""All options, each declared once as a field of a frozen config."""

from chargen.options.cells import CELLS
from chargen.options.corpus import CorpusConfig
from chargen.options.export import ExportConfig
from chargen.options.field import Config, check, distribute, option
from chargen.options.infilling import InfillConfig
from chargen.options.keywords import keyword_options
from chargen.options.model import ModelConfig
from chargen.options.names import meant, nearest
from chargen.options.reading import ClassifyConfig, EmbedConfig
from chargen.options.recipe import Recipe
from chargen.options.sampling import BatchConfig, SamplingConfig
from chargen.options.serving import ServeConfig
from chargen.options.training import BUDGETS, TrainConfig
from chargen.options.workers import WorkersConfig

__all__ = [
    "BUDGETS",
    "CELLS",
    "BatchConfig",
    "ClassifyConfig",
    "Config",
    "CorpusConfig",
    "EmbedConfig",
    "ExportConfig",
    "InfillConfig",
    "ModelConfig",
    "Recipe",
    "SamplingConfig",
    "ServeConfig",
    "TrainConfig",
    "WorkersConfig",
    "check",
    "distribute",
    "keyword_options",
    "meant",
    "nearest",
    "option",
]
