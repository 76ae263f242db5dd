"""Sliding windows: where they lie, what they weigh, what the members say in them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil

import torch
from nnunetv2.inference.sliding_window_prediction import compute_gaussian
from torch import Tensor, nn

from backend.domain.geometry import Box
from worker.nnunet.device import Precision
from worker.nnunet.resampling import F4, WorkingImage
from worker.nnunet.threads import Threads

_PIXELS_AT_ONCE = 1 << 18
FLIPS: tuple[tuple[int, ...], ...] = ((), (2,), (3,), (2, 3))


@dataclass(frozen=True, slots=True)
class Said:
    """What the members say of a batch of windows, averaged over members.

    `planes` (B, 2C + 2, h, w) float32 on the processor: C + 1 mean probabilities, the
    mean entropy, C mean entropies of "this label or not", in nats. `deepest`
    (B, F, h', w') float32 is the deepest feature map of the first, unflipped member.
    """

    planes: Tensor
    deepest: Tensor


def window_edge(length: int, patch: int, wanted: int, stride: int) -> int:
    """Return the edge of a window: at most `wanted`, within the image if possible.

    It is a multiple of the network's `stride` and never smaller than the patch.
    """
    return max(patch, min(wanted, length) // stride * stride)


def starts(length: int, window: int, overlap: float) -> list[int]:
    """Return evenly spread starts of windows that cover 0..length."""
    room = max(0, length - window)
    steps = ceil(room / (window * (1 - overlap)))
    return [round(room * i / steps) for i in range(steps + 1)] if steps else [0]


def weight(window: tuple[int, int]) -> Tensor:
    """Return (h, w) float32, nnU-Net's Gaussian: a window is surest in its middle."""
    found: Tensor = compute_gaussian(
        window, dtype=torch.float32, device=torch.device("cpu")
    )
    return found


def entropy(p: Tensor, dim: int) -> Tensor:
    """Return −Σ p ln p along `dim`, in nats."""
    found: Tensor = torch.special.entr(p).sum(dim)
    return found


def entropy_either(p: Tensor) -> Tensor:
    """Return the entropy of "this label or not", elementwise, in nats."""
    found: Tensor = torch.special.entr(p) + torch.special.entr(1 - p)
    return found


class Ensemble:
    """Networks that look at windows, each as it is and flipped.

    The members are networks × flips. Networks are in evaluation mode and give logits at
    full resolution alone.
    """

    def __init__(
        self,
        networks: Sequence[nn.Module],
        device: torch.device,
        precision: Precision,
        flips: Sequence[tuple[int, ...]] = FLIPS,
    ) -> None:
        self._networks = [network.to(device).eval() for network in networks]
        self._device, self._precision, self._flips = device, precision, flips
        self._threads = Threads()
        self._deepest = torch.empty(0)

    def __len__(self) -> int:
        return len(self._networks) * len(self._flips)

    def probabilities(self, member: int, windows: Tensor) -> Tensor:
        """Return a member's softmax (B, C + 1, h, w) of (B, 1, h, w) windows."""
        network, flip = divmod(member, len(self._flips))
        axes = self._flips[flip]
        seen = windows.to(self._device)
        with torch.inference_mode(), self._precision():
            logits = self._networks[network](torch.flip(seen, axes) if axes else seen)
        logits = torch.flip(logits, axes) if axes else logits
        return torch.softmax(logits.float(), dim=1)

    def look(self, windows: Tensor) -> Said:
        """Run every member on `windows` (B, 1, h, w) and average what they say."""
        total: Tensor | None = None
        encoder = self._networks[0].get_submodule("encoder")
        hook = encoder.register_forward_hook(self._remember)
        with torch.inference_mode():
            for member in range(len(self)):
                with self._threads.work(len(windows)):
                    p = self.probabilities(member, windows)
                hook.remove()  # only the first member, the unflipped one, is wanted
                said = torch.cat(
                    [p, entropy(p, 1)[:, None], entropy_either(p[:, 1:])], dim=1
                )
                total = said if total is None else total.add_(said)
            assert total is not None
            return Said((total / len(self)).cpu(), self._deepest.float().cpu())

    def _remember(self, module: nn.Module, inputs: object, skips: list[Tensor]) -> None:
        self._deepest = skips[-1]


Look = Callable[[int, int, Tensor], None]


def bands(
    ensemble: Ensemble,
    image: WorkingImage,
    window: tuple[int, int],
    overlap: float,
    look: Look | None = None,
) -> Iterator[F4]:
    """Yield (2C + 3, h, width) bands of working rows from top to bottom.

    The planes: C + 1 mean probabilities p̄, predictive entropy H(p̄), mutual information
    H(p̄) − mean H(p), and C one-vs-rest mutual informations, in nats. Means are over
    members and over the windows that see a pixel, by their weight. Only one window's
    height of rows is held. `look` is shown (y, x, deepest feature map) of each window.
    """
    height, width = image.shape
    shape = (window[0], max(window[1], width))
    weights = weight(window)
    at_once = max(1, _PIXELS_AT_ONCE // (window[0] * window[1]))
    columns = starts(width, window[1], overlap)
    rows = starts(height, window[0], overlap)
    held: Tensor | None = None
    seen = torch.zeros(shape)
    for y, following in zip(rows, [*rows[1:], height], strict=True):
        strip = torch.zeros(shape)
        there = min(window[0], height - y)
        strip[:there, :width] = torch.from_numpy(image.read(Box(y, 0, there, width)))
        for first in range(0, len(columns), at_once):
            group = columns[first : first + at_once]
            said = ensemble.look(
                torch.stack([strip[None, :, x : x + window[1]] for x in group])
            )
            if held is None:
                held = torch.zeros(said.planes.shape[1], *shape)
            for x, planes, deepest in zip(
                group, said.planes, said.deepest, strict=True
            ):
                held[:, :, x : x + window[1]] += weights * planes
                seen[:, x : x + window[1]] += weights
                if look is not None:
                    look(y, x, deepest)
        assert held is not None
        done = following - y
        yield _reduce(held[:, :done, :width] / seen[:done, :width])
        held[:, : window[0] - done] = held[:, done:].clone()
        seen[: window[0] - done] = seen[done:].clone()
        held[:, max(0, window[0] - done) :] = 0
        seen[max(0, window[0] - done) :] = 0


def _reduce(means: Tensor) -> F4:
    """Turn mean probabilities and mean entropies into the planes of a band."""
    labels = (len(means) - 2) // 2
    p, expected = means[: labels + 1], means[labels + 1 :]
    predictive = entropy(p, 0)[None]
    either = entropy_either(p[1:])
    # Rounding may leave a mutual information of nothing just below zero.
    information = (predictive - expected[:1]).clamp_min(0)
    by_class = (either - expected[1:]).clamp_min(0)
    return torch.cat([p, predictive, information, by_class]).numpy()
