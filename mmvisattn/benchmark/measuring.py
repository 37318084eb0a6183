"""Measuring one model: latency after a warm-up, and the memory of a pass."""
import gc
import math
import resource
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mmvisattn.cli.memory import keep_freed_memory, kept_memory, return_freed_memory

from .macs import count_macs, count_parameters
from .subjects import build, in_channels, parts_of, tensors_in

MODES = ('inference', 'train')
# A turn lasts at least so long, in passes of equal number, so that the clock's and the scheduler's jitter is small.
SECONDS_OF_A_TURN = 0.2
# The warm-up ends when so many passes in a row were no faster than those before by more than this part, or at this time.
STABLE_PASSES, FASTER, LONGEST_WARM_UP = 3, 0.05, 20.0
OUT_OF_MEMORY = 'out of memory'


@dataclass(frozen=True)
class Cell:
    """What is measured of each model.

    Attributes:
        mode: 'inference', or 'train': forward and backward of the mean of all outputs.
        part: 'backbone', 'logits' or 'output', see ``parts_of``.
        batch: number of images.
        height, width: of the images in pixels.
    """
    mode: str
    part: str
    batch: int
    height: int
    width: int

    def __str__(self) -> str:
        return f'{self.mode} {self.part} {self.batch} x {self.height} x {self.width}'


@dataclass(frozen=True)
class Settings:
    """How all models are run.

    Attributes:
        device: as torch names it.
        amp: 'float16' or 'bfloat16' for autocast, or None.
        compile: with ``torch.compile``.
        channels_last: weights and images are channels last in memory.
        threads: of a CPU; None: torch's default.
        memory_limit: bytes that a cell may take of a CPU's memory, in addition to the model; None: no limit.
    """
    device: str = 'cpu'
    amp: str | None = None
    compile: bool = False
    channels_last: bool = False
    threads: int | None = None
    memory_limit: int | None = None


def _status(key: str) -> int | None:
    """A figure of this process's memory in bytes; None where the system does not report it."""
    with suppress(OSError):
        for line in Path('/proc/self/status').read_text().splitlines():
            if line.startswith(f'{key}:'):
                return 1024 * int(line.split()[1])
    return None


def _limit_memory(extra: int | None) -> None:
    """Let allocations fail that take more than some bytes in addition to what is in use now; None: no limit."""
    now = _status('VmData')
    if now is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        soft = hard if extra is None else now - kept_memory() + extra
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory was refused; each library says so in its own words."""
    words = ('out of memory', "can't allocate memory", 'not enough memory', 'bad_alloc', 'could not create a memory')
    # oneDNN's words where it gets no memory for the code of an operator; a "primitive descriptor" is for what it lacks.
    without_code = str(error).endswith('could not create a primitive')
    return isinstance(error, MemoryError) or without_code or any(word in str(error) for word in words)


class Bench:
    """One model, built once, and the cell that is measured now."""

    def __init__(self, text: str, settings: Settings):
        if settings.threads:
            torch.set_num_threads(settings.threads)
        self.settings = settings
        torch.manual_seed(0)
        self.plain = build(text)
        self.parameters = count_parameters(self.plain)
        self.counted: dict[tuple[str, int, int], int] = {}
        layout = dict(memory_format=torch.channels_last) if settings.channels_last else {}
        self.model = self.plain.to(settings.device, **layout)  # type: ignore[call-overload]
        self.run: Callable[[], Any] = lambda: None
        self.passes = 1
        self.is_cpu = torch.device(settings.device).type == 'cpu'
        if self.is_cpu:
            keep_freed_memory()

    def macs(self, cell: Cell) -> int:
        """Multiply-adds of one image."""
        key = cell.part, cell.height, cell.width
        if key not in self.counted:
            self.counted[key] = count_macs(self.plain, *key)
        return self.counted[key]

    def _pass(self, cell: Cell) -> Callable[[], Any]:
        """A function that runs the model once."""
        settings, is_training = self.settings, cell.mode == 'train'
        self.model.train(is_training)
        layout = torch.channels_last if settings.channels_last else torch.contiguous_format
        x = torch.randn(cell.batch, in_channels(self.plain), cell.height, cell.width, device=settings.device)
        x = x.contiguous(memory_format=layout)
        function = parts_of(self.model)[cell.part]
        if settings.compile:
            torch.compiler.reset()
            function = torch.compile(function, dynamic=False)

        def run() -> None:
            precision = torch.autocast(torch.device(settings.device).type, getattr(torch, settings.amp)) \
                if settings.amp else nullcontext()
            with nullcontext() if is_training else torch.inference_mode(), precision:
                outputs = function(x)
            if is_training:
                torch.stack([y.float().mean() for y in tensors_in(outputs)]).sum().backward()
                self.model.zero_grad(set_to_none=True)

        return run

    def _synchronize(self) -> None:
        if not self.is_cpu:
            torch.cuda.synchronize(self.settings.device)

    def _timed(self) -> float:
        self._synchronize()
        start = time.perf_counter()
        self.run()
        self._synchronize()
        return time.perf_counter() - start

    def _warm_up(self) -> list[float]:
        """Passes until they become no faster. (Noise makes single passes slower, never faster.)"""
        times = [self._timed()]
        while sum(times) < LONGEST_WARM_UP:
            times.append(self._timed())
            before, last = times[:-STABLE_PASSES], times[-STABLE_PASSES:]
            if before and min(last) > (1 - FASTER) * min(before):
                break
        return times

    def count(self, cell: Cell) -> dict:
        """Count the multiply-adds of a cell."""
        if cell.part not in parts_of(self.plain):
            return dict(error=f'has no {cell.part}')
        return dict(macs=self.macs(cell))

    def start(self, cell: Cell) -> dict:
        """Prepare a cell, and warm up."""
        if self.is_cpu:
            _limit_memory(self.settings.memory_limit)
        self.run = self._pass(cell)
        times = self._warm_up()
        self.passes = math.ceil(SECONDS_OF_A_TURN / min(times))
        return dict(warm_up=len(times))

    def turn(self) -> dict:
        """Seconds per pass of a turn. Its first pass is not counted if there are several: others ran since the last turn."""
        if self.passes > 1:
            self.run()
        return dict(seconds=sum(self._timed() for _ in range(self.passes)) / self.passes)

    def memory(self) -> dict:
        """The most bytes that a pass holds in addition to the model: resident on a CPU, allocated on a GPU."""
        if self.is_cpu:
            return_freed_memory()
            before = _status('VmRSS')
            with suppress(OSError):
                Path('/proc/self/clear_refs').write_text('5')  # the peak starts anew
            self.run()
            after = _status('VmHWM')
            return dict(memory=None if before is None or after is None else max(0, after - before))
        torch.cuda.reset_peak_memory_stats(self.settings.device)
        before = torch.cuda.memory_allocated(self.settings.device)
        self.run()
        return dict(memory=torch.cuda.max_memory_allocated(self.settings.device) - before)

    def stop(self) -> dict:
        """Let go of the cell."""
        self.run = lambda: None
        self.model.zero_grad(set_to_none=True)
        if self.is_cpu:
            _limit_memory(None)
            return_freed_memory()
        else:
            gc.collect()
            torch.cuda.empty_cache()
        return {}
