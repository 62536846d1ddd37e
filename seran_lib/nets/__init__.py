"""The networks: specs (names) -> blocks -> attention -> staged network -> models by name, and what they cost.

Torch is imported only when a network is asked for: a list of names is there at once.
"""

from importlib import import_module

from seran_lib.nets.specs import list_models

__all__ = ["create_model", "describe", "describe_model", "list_models"]
_HOMES = {"create_model": "models", "describe": "description", "describe_model": "description"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
