"""`--map 2=mitochondria,5=membrane`: what the values of a label image mean here."""

from collections.abc import Mapping, Sequence

from backend.client import ClientError
from backend.domain.labels import BACKGROUND, UNKNOWN
from backend.schemas.project import LabelView

WORDS = {"background": BACKGROUND, "none": BACKGROUND, "unknown": UNKNOWN}


def parse(text: str | None, labels: Sequence[LabelView]) -> Mapping[int, int]:
    """Return the label value each value stands for.

    The right side is a label's name or value, `background` or `unknown`. 0 stands for
    none and 255 for unknown unless the map says otherwise; without a map label values
    stand for themselves.
    """
    known = WORDS | {label.name: label.value for label in labels}
    meant = {BACKGROUND: BACKGROUND, UNKNOWN: UNKNOWN}
    if text is None:
        return meant | {label.value: label.value for label in labels}
    for part in text.split(","):
        left, is_pair, right = (piece.strip() for piece in part.partition("="))
        value = known.get(right, int(right) if right.isdigit() else -1)
        if not (is_pair and left.isdigit() and value in known.values()):
            raise ClientError(
                f"--map cannot read {part.strip()!r}: write pairs such as 2=NAME with "
                f"NAME one of {', '.join(known)}."
            )
        meant[int(left)] = value
    return meant
