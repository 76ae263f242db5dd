"""In which number format and memory layout a network is fastest on this machine.

Nothing about the processor is asked: the candidates are tried on a window, once for
each model that is loaded.
"""

import copy
import logging
import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

_log = logging.getLogger(__name__)

_RUNS = 3
_HOPELESS = 1.6  # how much slower a first run may be; it also builds the kernels
_EDGE = 256  # of the window that is tried; a multiple of any stride planned
_SMALL = 1024  # pixels of a map below which the group norm's kernel crawls


@dataclass(frozen=True, slots=True)
class Form:
    """How a network's numbers are kept. Sums over members are float32 in any form."""

    dtype: torch.dtype
    layout: torch.memory_format

    def prepare(self, network: nn.Module) -> nn.Module:
        """Return a copy of the network in this form, in evaluation mode.

        Norms keep float32 weights: they compute in float32 whatever they are given.
        """
        ready = copy.deepcopy(network).eval().requires_grad_(False)
        _quicken(ready)
        for module in ready.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                module.to(self.dtype)
        return ready.to(memory_format=self.layout)

    def take(self, windows: Tensor) -> Tensor:
        """Return windows in this form."""
        return windows.to(self.dtype, memory_format=self.layout)


PLAIN = Form(torch.float32, torch.contiguous_format)


def candidates(device: torch.device) -> list[Form]:
    """Return the forms to try on a device, the likeliest first."""
    short = torch.bfloat16 if device.type == "cpu" else torch.float16
    layouts = (torch.channels_last, torch.contiguous_format)
    return [Form(d, layout) for layout in layouts for d in (torch.float32, short)]


def fastest(network: nn.Module, windows: Tensor) -> Form:
    """Return the form in which the network is fastest on windows (B, 1, h, w).

    Windows and network are on the same device. A form that fails is passed over; if all
    fail, the error of the last is raised.
    """
    window = windows[:1, :, :_EDGE, :_EDGE]
    paces: dict[Form, float] = {}
    failed: RuntimeError | None = None
    for form in candidates(windows.device):
        least = min(paces.values(), default=math.inf)
        try:
            paces[form] = _pace(form, network, window, least * _HOPELESS)
        except RuntimeError as error:  # an operator that lacks this format
            failed = error
            _log.info("%s cannot be used: %s", form, error)
    if not paces:
        assert failed is not None
        raise failed
    best = min(paces, key=paces.__getitem__)
    _log.info("%s is the fastest: %s", best, paces)
    return best


def _pace(form: Form, network: nn.Module, window: Tensor, hopeless: float) -> float:
    """Return the fewest seconds a window took; gives up once it took `hopeless`.

    On a processor they are the seconds of one thread alone: what others do on the
    machine meanwhile is not counted, nor is waiting for other threads.
    """
    ready, window = form.prepare(network), form.take(window)
    clock = time.perf_counter if window.is_cuda else time.thread_time
    threads, least = torch.get_num_threads(), math.inf
    torch.set_num_threads(1)
    try:
        for _ in range(_RUNS):
            began = clock()
            with torch.inference_mode():
                ready(window).cpu()  # waits for the device
            least = min(least, clock() - began)
            if least > hopeless:
                break
    finally:
        torch.set_num_threads(threads)
    return least


def _quicken(network: nn.Module) -> None:
    """Put a faster kernel behind every instance norm."""
    for name, module in list(network.named_children()):
        if isinstance(module, nn.InstanceNorm2d):
            setattr(network, name, InstanceNorm(module))
        else:
            _quicken(module)


class InstanceNorm(nn.Module):
    """An instance norm computed as a group norm with a group for each channel.

    It is the same sum. On processors torch has a vectorised kernel for it that also
    takes channels_last as it lies; the instance norm goes through copies and the batch
    norm of training.
    """

    def __init__(self, norm: nn.InstanceNorm2d) -> None:
        super().__init__()
        self.weight, self.bias = norm.weight, norm.bias
        self.channels, self.eps = norm.num_features, norm.eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each channel of (B, F, h, w) by its own mean and deviation."""
        if x.is_cuda or x.shape[-2] * x.shape[-1] < _SMALL:
            return functional.instance_norm(
                x, weight=self.weight, bias=self.bias, eps=self.eps
            )
        return functional.group_norm(x, self.channels, self.weight, self.bias, self.eps)
