"""The networks: blocks -> attention -> staged network -> models by name, and the reconstruction of Figure 2."""

from seran_lib.nets.describe import describe
from seran_lib.nets.models import create_model, list_models

__all__ = ["create_model", "describe", "list_models"]
