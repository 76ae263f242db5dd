"""The scores that the unit metric compares, on what a live project knows.

A project knows the sweeps, the truth of its random validation tiles and of the tiles
that were annotated since. The truth of all others judges the scores and enters none.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from backend.ranker import (
    Knowledge,
    Lesson,
    Measured,
    Parameters,
    Platt,
    Pool,
    Scene,
    class_needs,
    fit_correction,
    fit_platt,
)
from backend.ranker.asked import asked
from backend.ranker.learned import features
from bench.subjects import SCHEMA
from bench.unit_tiles import Judged

F8 = NDArray[np.float64]
Formula = Callable[[Judged], F8]

ASKED, CONTROLS = 20, 4
"""Tiles that a query asked for: the best by a formula, and random ones."""
_OFF = dict.fromkeys(("missed", "information", "class_entropy", "balance"), 0.0)
VARIANTS = {
    "EFN": Parameters(**_OFF | {"missed": 1.0, "calibrated": 0.0}),
    "EFN, Platt": Parameters(**_OFF | {"missed": 1.0}),
    "product": Parameters(**_OFF | {"class_entropy": 0.5, "information": 0.5}),
    "er-gap, no balance": Parameters(balance=0.0),
    "er-gap": Parameters(),
}
"""The formula of `er-gap` and parts of it; `product` is √(H·p · MI)."""


def formulas(known: Judged, column: int) -> dict[str, Formula]:
    """Return the variants, with calibration and figures from the known tiles."""
    value = SCHEMA.values[column]
    knowledge = Knowledge({value: calibrated(known, column)})
    needs = class_needs(SCHEMA, {value: measured(known, column)})

    def of(parameters: Parameters) -> Formula:
        def formula(tiles: Judged) -> F8:
            every = np.arange(len(tiles))
            pool = Pool(
                keys=np.stack([every, every], axis=1).astype(np.uint64),
                images=np.zeros(len(tiles), np.int64),
                boxes=tiles.statistics.boxes,
                excluded=np.zeros(len(tiles), bool),
                statistics=tiles.statistics,
            )
            scene = Scene.of(pool, 0, needs, knowledge, parameters)
            return asked(scene, every).prior[:, column]

        return formula

    return {name: of(parameters) for name, parameters in VARIANTS.items()}


def scores(pool: Judged, known: Judged, column: int, seed: int) -> dict[str, F8]:
    """Return the scores of the pool's tiles by name, highest first; (T,) each.

    Those called `learned` are corrected by what the model missed on the known tiles.
    """
    s = pool.statistics
    sums = {
        "label entropy": s.label_entropy[:, column],
        "label information": s.class_information[:, column],
        "ClaSP map": s.class_entropy[:, column],
        "entropy": s.entropy_sum,
        "BALD": s.information_sum,
        "expected area": s.p_sum[:, column],
        "expected boundary": s.boundary[:, column],
    }
    variants = formulas(known, column)
    return {
        **{name: formula(pool) for name, formula in variants.items()},
        **{name: values / s.valid for name, values in sums.items()},
        **{
            f"{name}, learned": corrected(pool, [known], column, formula)
            for name, formula in variants.items()
        },
        "oracle": pool.missed[:, column] / s.valid,
        "random": np.random.default_rng(seed).random(len(pool)),
    }


def after_asking(
    pool: Judged, known: Judged, column: int, seed: int
) -> Mapping[str, Mapping[str, tuple[Judged, F8]]]:
    """Return, by formula, what is left of the pool after a query, and its scores.

    The query asked for the 20 best tiles of the formula and 4 random ones. `before` is
    the formula, `asked` learned what the model missed on them, `both` also what it
    missed on the known tiles. The rest is the same for all three.
    """
    random = np.random.default_rng(seed)
    found = {}
    for name, formula in formulas(known, column).items():
        order = np.argsort(-formula(pool), kind="stable")
        left = order[ASKED:]
        chance = random.permutation(len(left))
        taken = np.append(order[:ASKED], left[chance[:CONTROLS]])
        rest, seen = pool.take(left[chance[CONTROLS:]]), pool.take(taken)
        found[name] = {
            "before": (rest, formula(rest)),
            "asked": (rest, corrected(rest, [seen], column, formula)),
            "both": (rest, corrected(rest, [seen, known], column, formula)),
        }
    return found


def corrected(tiles: Judged, known: list[Judged], column: int, formula: Formula) -> F8:
    """Return (T,) a formula's scores, corrected by tiles with known truth."""
    lessons = [lesson for part in known for lesson in taught(part, column, formula)]
    parts = _parts(tiles, column)
    return fit_correction(lessons).apply(formula(tiles), parts)


def taught(known: Judged, column: int, formula: Formula) -> list[Lesson]:
    """Return what the model missed of a label on tiles with known truth."""
    rows = zip(
        _parts(known, column), formula(known), known.missed[:, column], strict=True
    )
    return [Lesson(tuple(p), float(e), float(m)) for p, e, m in rows]


def calibrated(known: Judged, column: int) -> Platt:
    """Return a label's calibration as validation tiles tell it."""
    bins = (known.missed_bins, known.other_bins)
    return fit_platt(*(counts[:, column].sum(axis=0) for counts in bins))


def measured(known: Judged, column: int) -> Measured:
    """Return a label's figures on validation tiles, as an evaluation has them."""
    true, decided = (known.true[:, column], known.decided[:, column])
    hit, both = (true - known.missed[:, column]).sum(), true.sum() + decided.sum()
    return Measured(
        recall=float(hit / true.sum()) if true.any() else None,
        dice=float(2 * hit / both) if both else None,
        tiles=int((true > 0).sum()),
    )


def _parts(tiles: Judged, column: int) -> F8:
    """Return the score parts; distances to annotated tiles are left out."""
    return features(tiles.statistics, column, np.zeros(len(tiles)))
