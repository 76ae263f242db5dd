"""Why a tile was chosen, in one sentence with the numbers behind it."""

from backend.ranker.need import MIN_TILES, ClassNeed


def missed(need: ClassNeed, pixels: float, doubted: bool, novelty: str) -> str:
    """Explain a pick for a class in need; `doubted` if it was for doubts above all."""
    said = f"about {_count(pixels)} {need.name} pixels expected to be missed here"
    doubt = f"the model is undecided where it sees {need.name}" if doubted else ""
    return "; ".join(filter(None, (standing(need), said, doubt, novelty)))


def standing(need: ClassNeed) -> str:
    """Say what is known of a label's recall on validation tiles."""
    if need.recall is None:
        return (
            f"{need.name} is in {need.tiles} validation tiles, too few to measure "
            f"({MIN_TILES} are needed), so it is weighted by its priority alone"
        )
    gap = need.target_recall - need.recall
    if gap < 0.005:
        return f"{need.name} recall {need.recall:.2f} has reached its target"
    return f"{need.name} recall {need.recall:.2f} is {gap:.2f} below target"


def novelty(annotated: int, near: bool, far: bool) -> str:
    """Say how a tile looks to the network beside those annotated so far."""
    tiles = "the tile" if annotated == 1 else f"the {annotated} tiles"
    if far:
        return f"unlike {tiles} annotated so far"
    return f"much like one of {tiles} annotated so far" if near else ""


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
        f"(about {_count(pixels)} pixels of outline here)"
    )


def disagreement(nats: float) -> str:
    """Explain a pick by mean mutual information between label and member."""
    return f"the model's members disagree here: mutual information {nats:.4f}"


def area(name: str, share: float) -> str:
    """Explain a pick by a label's expected area."""
    return f"much {name} is expected here ({_percent(share)} of the tile)"


def farthest(annotated: int) -> str:
    """Explain a pick by distance alone."""
    return (
        f"the tile least like the {annotated} annotated ones and those chosen before it"
    )


def at_random() -> str:
    """Explain a pick that asks no model."""
    return "drawn at random, without asking the model"


def control() -> str:
    """Explain a control tile that is learnt from."""
    return "a control tile, drawn at random to see what the ranking does not look at"


def control_validation() -> str:
    """Explain a control tile that joins the validation set."""
    return (
        "a control tile, drawn at random: it joins the validation set, and no model "
        "will learn from it"
    )


def start() -> str:
    """Explain a pick made before there is a model."""
    return "there is no model yet: tiles are spread over the images and within them"


def _count(pixels: float) -> str:
    """Return a count to two digits, with a space between thousands."""
    whole = round(pixels)
    digits = len(str(whole))
    return f"{round(whole, min(0, 2 - digits)):,}".replace(",", " ")


def _percent(share: float) -> str:
    percent = 100 * share
    return f"{percent:.1f} %" if percent >= 0.05 else "under 0.1 %"
