"""Scores of restored images by the protocols of the papers."""
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from torch import Tensor

from mmvisattn.registry import METRICS

from .protocols import PROTOCOLS


def as_image(tensor: Tensor) -> np.ndarray:
    """(C, H, W) to (H, W, C), clipped to 0 to 1, float64."""
    return tensor.detach().cpu().double().clamp(0, 1).permute(1, 2, 0).numpy()


@METRICS.register_module()
class RestorationMetric(BaseMetric):
    """PSNR (dB) and more, averaged over the images of each test set, by the protocol of a paper.

    The names are ``PROTOCOL/PSNR``, or ``PROTOCOL/SET/PSNR`` for the images of a data set with a ``test_set``; its
    ``subsets`` are scored besides.

    Args:
        protocol: one of ``PROTOCOLS``, see docs/restoration.md.
        test_sets: names of the test sets that this protocol is for; others are left to other metrics. None: all.
        mean: name of the mean of the sets' scores, each counting once; None: without it.
        collect_device, prefix: as in mmengine; the prefix is the protocol's name unless another is given.

    Raises:
        ValueError: if there is no such protocol.
    """

    def __init__(self, protocol: str = 'plain', test_sets: Sequence[str] | None = None, mean: str | None = None,
                 collect_device: str = 'cpu', prefix: str | None = None):
        super().__init__(collect_device, prefix or protocol)
        if protocol not in PROTOCOLS:
            raise ValueError(f"protocol='{protocol}' is not one of {', '.join(PROTOCOLS)}")
        self.protocol = protocol
        self.test_sets = test_sets
        self.mean = mean

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            test_set = sample.get('test_set')
            if 'clean' not in sample or (self.test_sets is not None and test_set not in self.test_sets):
                continue
            try:
                scores = PROTOCOLS[self.protocol](*(as_image(sample[name]) for name in ('restored', 'clean')))
            except Exception as error:  # an image too small for a window, or one that cannot be aligned
                raise ValueError(f'{sample.get("img_path")} cannot be evaluated by the protocol {self.protocol}: '
                                 f'{" ".join(str(error).split())}') from error
            index = sample.get('sample_idx', sample.get('img_path'))
            self.results.append(((test_set, *(sample.get('subsets') or ())), index, scores))

    def compute_metrics(self, results: list[tuple[tuple[str | None, ...], int | str, dict[str, float]]]) -> dict[str, float]:
        groups: dict[str | None, dict[int | str, dict[str, float]]] = defaultdict(dict)
        for names, index, scores in results:  # several processes may have evaluated the same image
            for name in names:
                groups[name][index] = scores
        means = {group: _mean(scores.values()) for group, scores in groups.items()}
        averaged = list(means) if self.test_sets is None else self.test_sets
        if self.mean and set(averaged) <= set(means):
            means[self.mean] = _mean(means[name] for name in averaged)
        return {f'{group}/{name}' if group else name: value
                for group, scores in means.items() for name, value in scores.items()}


def _mean(scores: Iterable[dict[str, float]]) -> dict[str, float]:
    listed = list(scores)
    return {name: float(np.mean([score[name] for score in listed])) for name in listed[0]}
