"""Sliding windows: where they lie, what they weigh, what the members say in them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil

import torch
from nnunetv2.inference.sliding_window_prediction import compute_gaussian
from torch import Tensor, nn

from backend.domain.geometry import Box
from worker.nnunet.forms import Form, fastest
from worker.nnunet.resampling import F4, WorkingImage
from worker.nnunet.threads import Threads

Flip = tuple[int, ...]
FLIPS: tuple[Flip, ...] = ((), (2,), (3,), (2, 3))
_PIXELS_AT_ONCE = 1 << 18  # of a band that are given on together
_TINY = 1e-30  # stands for a probability of 0 where its logarithm is taken


@dataclass(frozen=True, slots=True)
class Said:
    """What the members say of a batch of windows, averaged over members.

    `planes` (B, 2C + 2, h, w) float32 on the processor: C + 1 mean probabilities, the
    mean entropy, C mean entropies of "this label or not", in nats. `deepest`
    (B, F, h', w') float32 is the deepest feature map of the first member.
    """

    planes: Tensor
    deepest: Tensor


def window_edge(
    length: int, patch: int, wanted: int, overlap: float, stride: int
) -> int:
    """Return the edge of a window: at most `wanted`, never smaller than the patch.

    It is the smallest multiple of the network's `stride` with which no more windows
    are needed: what would stick out or overlap further is work for nothing.
    """
    least = ceil(patch / stride) * stride
    window = max(least, wanted // stride * stride)
    count = len(starts(length, window, overlap))
    while window > least and len(starts(length, window - stride, overlap)) == count:
        window -= stride
    return window


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


def pairs(networks: int, device: torch.device) -> list[tuple[int, Flip]]:
    """Return which networks look at which flips.

    On a GPU all at all; a processor has no time for that, so each flip is looked at by
    one of the networks in turn, and further networks cost nothing.
    """
    if device.type == "cpu":
        count = max(networks, len(FLIPS))
        return [(i % networks, FLIPS[i % len(FLIPS)]) for i in range(count)]
    return [(network, flip) for network in range(networks) for flip in FLIPS]


class Ensemble:
    """Networks that look at windows, each as it is or flipped.

    A member is a (network, flip) pair; without `members` they are `pairs`. Networks
    give logits at full resolution alone. Without a `form` the first windows decide
    which is the fastest.
    """

    def __init__(
        self,
        networks: Sequence[nn.Module],
        device: torch.device,
        members: Sequence[tuple[int, Flip]] | None = None,
        form: Form | None = None,
    ) -> None:
        self._networks = [network.to(device).eval() for network in networks]
        self._device, self._form = device, form
        self._members = list(members or pairs(len(networks), device))
        self._ready: list[nn.Module] = []
        self._threads = Threads()
        self._deepest = torch.empty(0)

    def __len__(self) -> int:
        return len(self._members)

    @property
    def form(self) -> Form | None:
        """The form the networks are in; None before they have seen a window."""
        return self._form

    def reduced(self, members: Sequence[tuple[int, Flip]]) -> "Ensemble":
        """Return an ensemble of the same networks with other members."""
        return Ensemble(self._networks, self._device, members, self._form)

    def look(self, windows: Tensor) -> Said:
        """Run every member on `windows` (B, 1, h, w) and average what they say."""
        with torch.inference_mode():
            seen = self._take(windows)
            planes, deepest = torch.empty(0), torch.empty(0)
            for number, (network, axes) in enumerate(self._members):
                with self._threads.work(len(windows)):
                    logits = self._logits(network, axes, seen)
                    if number == 0:
                        batch, channels, *shape = logits.shape
                        planes = logits.new_zeros((batch, 2 * channels, *shape))
                        deepest = torch.flip(self._deepest, axes).float().cpu()
                    _add(planes, logits)
            return Said(planes.div_(len(self)).cpu(), deepest)

    def bare(self, windows: Tensor) -> None:
        """Do the forward passes of `look` and nothing else; benches compare with it."""
        with torch.inference_mode():
            seen = self._take(windows)
            for network, axes in self._members:
                with self._threads.work(len(windows)):
                    self._ready[network](torch.flip(seen, axes) if axes else seen)

    def _take(self, windows: Tensor) -> Tensor:
        seen = windows.to(self._device)
        if not self._ready:
            self._form = self._form or fastest(self._networks[0], seen)
            self._ready = [self._form.prepare(network) for network in self._networks]
            encoder = self._ready[self._members[0][0]].get_submodule("encoder")
            encoder.register_forward_hook(self._remember)
        assert self._form is not None
        return self._form.take(seen)

    def _logits(self, network: int, axes: Flip, seen: Tensor) -> Tensor:
        """Return (B, C + 1, h, w) float32 logits, flipped back."""
        if not axes:
            logits = self._ready[network](seen)
        else:
            logits = torch.flip(self._ready[network](torch.flip(seen, axes)), axes)
        found: Tensor = logits.to(torch.float32, memory_format=torch.contiguous_format)
        return found

    def _remember(self, module: nn.Module, inputs: object, skips: list[Tensor]) -> None:
        self._deepest = skips[-1]


def _add(planes: Tensor, logits: Tensor) -> None:
    """Add one member's probabilities and entropies to the planes of `Said`."""
    channels = logits.shape[1]
    log_p = torch.log_softmax(logits, 1)
    p = log_p.exp()
    planes[:, :channels] += p
    lost = log_p.mul_(p)
    planes[:, channels] -= lost.sum(1)
    either = planes[:, channels + 1 :]
    either -= lost[:, 1:]
    either -= _times_log(p[:, 1:].neg_().add_(1))


def _times_log(p: Tensor) -> Tensor:
    """Return p ln p, which is 0 where p is."""
    return p.clamp_min(_TINY).log_().mul_(p)


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
    height of rows is held, and bands are thin: memory does not grow with the height.
    `look` is shown (y, x, deepest feature map) of each window.
    """
    height, width = image.shape
    shape = (window[0], max(window[1], width))
    weights = weight(window)
    columns = starts(width, window[1], overlap)
    rows = starts(height, window[0], overlap)
    thin = max(1, _PIXELS_AT_ONCE // width)
    held = torch.empty(0)
    seen = torch.zeros(shape)
    for y, following in zip(rows, [*rows[1:], height], strict=True):
        for x in columns:
            said = ensemble.look(_cut(image, y, x, window))
            if not len(held):
                held = torch.zeros(said.planes.shape[1], *shape)
            held[:, :, x : x + window[1]].addcmul_(said.planes[0], weights)
            seen[:, x : x + window[1]] += weights
            if look is not None:
                look(y, x, said.deepest[0])
        image.let_go()
        done = following - y
        for top in range(0, done, thin):
            part = slice(top, min(top + thin, done))
            yield _reduce(held[:, part, :width], seen[part, :width])
        for plane in (seen, *held):
            plane[: window[0] - done] = plane[done:].clone()
            plane[max(0, window[0] - done) :] = 0


def _cut(image: WorkingImage, y: int, x: int, window: tuple[int, int]) -> Tensor:
    """Return (1, 1, h, w) z-scores; what lies beyond the image is 0."""
    height, width = (
        min(edge, length - start)
        for edge, length, start in zip(window, image.shape, (y, x), strict=True)
    )
    found = torch.zeros(1, 1, *window)
    found[0, 0, :height, :width] = torch.from_numpy(
        image.read(Box(y, x, height, width))
    )
    return found


def _reduce(sums: Tensor, weights: Tensor) -> F4:
    """Turn weighted sums of `Said.planes` into the planes of a band."""
    channels = len(sums) // 2
    planes = torch.empty(2 * channels + 1, *weights.shape)
    p = torch.div(sums[:channels], weights, out=planes[:channels])
    expected = sums[channels:] / weights
    gained = _times_log(p)
    predictive = torch.sum(gained, 0, out=planes[channels]).neg_()
    # Rounding may leave a mutual information of nothing just below zero.
    torch.sub(predictive, expected[0], out=planes[channels + 1]).clamp_min_(0)
    either = gained[1:].add_(_times_log(1 - p[1:])).neg_()
    torch.sub(either, expected[1:], out=planes[channels + 2 :]).clamp_min_(0)
    return planes.numpy()
