"""Why a tile was chosen, in one sentence with the numbers behind it."""

from backend.ranker.need import MIN_TILES, ClassNeed


def missed(need: ClassNeed, pixels: float, share: float) -> str:
    """Explain a pick by expected false negatives; `share` is of the tile, 0..1."""
    return (
        f"{_about(pixels)} {need.name} pixels probably missed here "
        f"({_percent(share)} of the tile); {standing(need)}"
    )


def standing(need: ClassNeed) -> str:
    """Say what is known of a label's recall on validation tiles."""
    if need.recall is not None:
        return (
            f"{need.name} recall on validation is {need.recall:.2f} "
            f"(target {need.target_recall:.2f})"
        )
    return (
        f"{need.name} is in {need.tiles} validation tiles, too few to measure "
        f"({MIN_TILES} are needed), so it is weighted by its priority alone"
    )


def entropy(nats: float, most: float) -> str:
    """Explain a pick by mean predictive entropy; `most` is that of a pure guess."""
    return (
        f"the model is undecided here: mean entropy {nats:.2f} "
        f"(0 is sure, {most:.2f} a pure guess)"
    )


def class_entropy(name: str, nats: float) -> str:
    """Explain a pick by entropy weighted with one label's probability."""
    return (
        f"the model is undecided where it sees {name}: mean entropy times {name} "
        f"probability is {nats:.4f}; a chance draw among such tiles"
    )


def noisy_entropy(nats: float, most: float) -> str:
    """Explain a pick by entropy with noise."""
    return f"{entropy(nats, most)}; a chance draw among such tiles"


def inside(name: str, share: float) -> str:
    """Explain a pick at a random predicted pixel of a label."""
    return (
        f"drawn at random where the model sees {name} ({_percent(share)} of the tile)"
    )


def border(name: str, pixels: float) -> str:
    """Explain a pick at a random predicted border of a label."""
    return (
        f"drawn at random along the outline of predicted {name} "
        f"({_about(pixels)} pixels of outline here)"
    )


def at_random() -> str:
    """Explain a pick that asks no model."""
    return "drawn at random, so that the choice does not only follow the model"


def start() -> str:
    """Explain a pick made before there is a model."""
    return "there is no model yet: tiles are spread over the images and within them"


def _about(pixels: float) -> str:
    whole = round(pixels)
    return f"about {whole:,}".replace(",", " ") if whole else "less than one"


def _percent(share: float) -> str:
    percent = 100 * share
    return f"{percent:.1f} %" if percent >= 0.05 else "under 0.1 %"
