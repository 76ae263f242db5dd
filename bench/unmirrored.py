"""The child that predicts, without flips: what `--disable_tta` is to the peer."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from worker.nnunet import child
from worker.serving import Emit


def unmirrored(model: Any) -> Any:
    """Return a model whose networks look at each window once, as it is."""
    return replace(model, ensemble=model.ensemble.reduced([(0, ())]))


def predict(request: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Sweep one image as the worker's child does, with an unmirrored model."""
    from worker.nnunet import model

    if model.open_model.__module__ != __name__:
        opened = model.open_model

        def once(folder: Path) -> Any:
            return unmirrored(opened(folder))

        model.open_model = once
    return _predict(request, emit)


_predict = child.predict

if __name__ == "__main__":
    child.predict = predict
    child.main()
