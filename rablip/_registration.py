"""Registers rablip's classes with the Auto classes of transformers as soon as those are imported, and not before.

`import rablip` must not cost an import of transformers or torch, yet `AutoModel.from_pretrained` has to know our
classes afterwards, whichever of the two is imported first. So:

- imports of transformers are watched by a small finder on `sys.meta_path`; whenever the outermost one has ended, our
  classes are registered with the Auto classes that are there by then (at once for those imported before rablip). Not
  earlier: our config module imports from transformers, and would find its modules half imported;
- config classes are registered themselves; model and processor classes as stand-ins that import the real class on
  first use, because importing model files while transformers imports its own would be circular and slow. Once a
  stand-in was used, the real class takes its place in the mapping.

Only the public `register` methods of transformers are called. Our models get their way to the Hub here too, since a
model file imports nothing above it. Everything here may run any number of times.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import threading
from collections.abc import Sequence
from types import ModuleType
from typing import Any

__all__ = ["install", "register_ready"]

_CONFIGS = "rablip.configuration.configuration_rablip"
_MODELS = "rablip.modeling_rablip"
_PROCESSORS = "rablip.processing"

# model_type -> config class
_MODEL_TYPES = {
    "rablip": "RablipConfig",
    "rablip_reranker": "RablipRerankerConfig",
    "rablip_retriever": "RablipRetrieverConfig",
}
# module of transformers -> Auto class -> (config class, our class)
_AUTO_CLASSES: dict[str, dict[str, tuple[tuple[str, str], ...]]] = {
    "transformers.models.auto.modeling_auto": {
        "AutoModel": (
            ("RablipConfig", "RablipForConditionalGeneration"),
            ("RablipRerankerConfig", "RablipReranker"),
            ("RablipRetrieverConfig", "RablipRetriever"),
        ),
        "AutoModelForImageTextToText": (("RablipConfig", "RablipForConditionalGeneration"),),
    },
    "transformers.models.auto.processing_auto": {
        "AutoProcessor": (
            ("RablipConfig", "RablipProcessor"),
            ("RablipRerankerConfig", "RablipRetrieverProcessor"),
            ("RablipRetrieverConfig", "RablipRetrieverProcessor"),
        ),
    },
}
_AUTO_CONFIG = "transformers.models.auto.configuration_auto"
_BASE = "rablip.modeling_rablip.modeling_rablip_base"


class _StandInMeta(type):
    """Behaves like the class it stands for, which is imported on first use."""

    _home: str

    def _resolve(cls) -> type:
        real = getattr(importlib.import_module(cls._home), cls.__name__)
        _REAL[cls.__name__] = real
        register_ready()
        return real

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):  # inspection must not import anything
            raise AttributeError(name)
        return getattr(cls._resolve(), name)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return cls._resolve()(*args, **kwargs)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, cls._resolve())

    def __subclasscheck__(cls, subclass: type) -> bool:
        return subclass is cls or issubclass(subclass, cls._resolve())

    def __repr__(cls) -> str:
        return f"<stand-in for {cls._home}.{cls.__name__}>"


def _stand_in(name: str, home: str) -> _StandInMeta:
    return _StandInMeta(name, (), {"_home": home, "__module__": __name__, "__doc__": f"Stands for {home}.{name}."})


# Module attributes of the same name, so that a mapping that holds them can be pickled by reference.
RablipForConditionalGeneration = _stand_in("RablipForConditionalGeneration", _MODELS)
RablipProcessor = _stand_in("RablipProcessor", _PROCESSORS)
RablipReranker = _stand_in("RablipReranker", _MODELS)
RablipRetriever = _stand_in("RablipRetriever", _MODELS)
RablipRetrieverProcessor = _stand_in("RablipRetrieverProcessor", _PROCESSORS)

_REAL: dict[str, type] = {}


def _loaded(module_name: str, names: Sequence[str]) -> ModuleType | None:
    """Return the module when it is imported so far that it has all `names`, otherwise None."""
    module = sys.modules.get(module_name)
    return module if module is not None and all(name in vars(module) for name in names) else None


def _push_model(model: Any, repo_id: str, **kwargs: Any) -> Any:
    """`model.push_to_hub`; the hub is imported when it is used."""
    return importlib.import_module("rablip.hub.pushing").push_model(model, repo_id, **kwargs)


def register_ready() -> None:
    """Register every class whose Auto class is imported; the others follow when theirs is.

    Example:
        >>> import rablip
        >>> from transformers import AutoConfig
        >>> AutoConfig.for_model("rablip_retriever").model_type
        'rablip_retriever'
    """
    auto_config = _loaded(_AUTO_CONFIG, ["AutoConfig", "CONFIG_MAPPING"])
    if auto_config is None:
        return
    if _CONFIGS in sys.modules and _loaded(_CONFIGS, list(_MODEL_TYPES.values())) is None:
        return  # our config module is being imported right now; it is watched too, so this runs again at its end
    configs = importlib.import_module(_CONFIGS)
    base = _loaded(_BASE, ["RablipPreTrainedModel"])
    if base is not None:
        base.RablipPreTrainedModel.pusher = _push_model
    for model_type, config_name in _MODEL_TYPES.items():
        auto_config.AutoConfig.register(model_type, getattr(configs, config_name), exist_ok=True)
    for module_name, auto_classes in _AUTO_CLASSES.items():
        module = _loaded(module_name, list(auto_classes))
        if module is None:
            continue
        for auto_name, pairs in auto_classes.items():
            for config_name, class_name in pairs:
                our_class = _REAL.get(class_name, globals()[class_name])
                config_class = getattr(configs, config_name)
                if module_name.endswith("modeling_auto") and class_name not in _REAL:
                    our_class.config_class = config_class
                getattr(module, auto_name).register(config_class, our_class, exist_ok=True)


class _RegisteringFinder(importlib.abc.MetaPathFinder):
    """Lets the other finders find a module of transformers and registers our classes after it has run."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.partition(".")[0] != "transformers" and fullname not in (_CONFIGS, _BASE):
            return None
        for finder in sys.meta_path:
            if isinstance(finder, _RegisteringFinder) or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None and hasattr(spec.loader, "exec_module"):
                    _register_after(spec.loader)
                return spec
        return None


class _Running(threading.local):
    """How many watched imports are under way in this thread, one inside the other."""

    depth = 0


_running = _Running()


def _register_after(loader: Any) -> None:
    """Make this one module's loader call `register_ready` when it ends the outermost of the watched imports."""
    run = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        _running.depth += 1
        try:
            run(module)
        finally:
            _running.depth -= 1
        if _running.depth == 0:
            register_ready()

    loader.exec_module = exec_module


def install() -> None:
    """Register what can be registered now and see to the rest when it is imported. Calling it again does nothing.

    Example:
        >>> install()
    """
    if not any(isinstance(finder, _RegisteringFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _RegisteringFinder())
    register_ready()
