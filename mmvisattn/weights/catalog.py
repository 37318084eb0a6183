"""The table of models by name: the metafiles of ``configs``, which mim reads too, and weights that come with the package."""
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import yaml

from .download import DownloadError, fetch, home

PACKAGE = Path(__file__).parents[1]
TASKS = {'Image Classification': 'classification', 'Semantic Segmentation': 'segmentation', 'Object Detection': 'detection',
         'Instance Segmentation': 'detection', 'Image Denoising': 'restoration', 'Image Deraining': 'restoration',
         'Image Deblurring': 'restoration', 'Defocus Deblurring': 'restoration'}


@dataclass(frozen=True)
class ModelEntry:
    """One model of the table.

    Attributes:
        name: as in ``list_models``.
        task: 'classification', 'segmentation', 'detection' or 'restoration'.
        data: what it was trained on.
        figures: (data set, metric) to its value, as published, or as measured for weights that come with the package.
        config: its config file; None where only the backbone's weights are published.
        backbone: settings of an ImageNet classifier's backbone.
        url: address of the published file.
        page: page on which the authors publish the file, where it has no address of its own.
        sha256: of the file, where it is known.
        license: of the weights, where the authors state one.
    """
    name: str
    task: str
    data: str
    figures: Mapping[tuple[str, str], float] = field(default_factory=dict)
    config: Path | None = None
    backbone: Mapping[str, str] | None = None
    url: str | None = None
    page: str | None = None
    sha256: str | None = None
    license: str | None = None

    @property
    def shipped(self) -> Path | None:
        """The weights that come with the package."""
        path = PACKAGE / 'pretrained' / f'{self.name}.safetensors'
        return path if path.is_file() else None


def project_folder() -> Path:
    """The folder of ``model-index.yml`` and ``configs``: within the package in a wheel, beside it in a clone."""
    mim = PACKAGE / '.mim'
    return mim if mim.is_dir() else PACKAGE.parent


def _entry(model: dict, collection: dict, project: Path) -> ModelEntry:
    metadata, results = collection['Metadata'] | model['Metadata'], model.get('Results', [])
    data = metadata['Training Data']
    architecture = metadata.get('Backbone')
    return ModelEntry(
        name=model['Name'],
        task=TASKS[results[0]['Task']] if results else 'classification' if architecture else 'restoration',
        data=data if isinstance(data, str) else ', '.join(data),
        figures={(result['Dataset'], metric): value for result in results for metric, value in result['Metrics'].items()},
        config=project / model['Config'] if 'Config' in model else None,
        backbone=architecture and dict(zip(('type', 'arch'), architecture.split())),
        url=model.get('Weights'),
        page=metadata.get('Weights Page'),
        sha256=metadata.get('SHA256'),
        license=metadata.get('License'))


@cache
def catalog() -> dict[str, ModelEntry]:
    """All models by name."""
    project = project_folder()
    entries = {}
    for path in yaml.safe_load((project / 'model-index.yml').read_text())['Import']:
        metafile = yaml.safe_load((project / path).read_text())
        for model in metafile['Models']:
            entries[model['Name']] = _entry(model, metafile['Collections'][0], project)
    return entries


def list_models(pattern: str = '*') -> list[str]:
    """Names of the models, for ``mmvisattn.load``: ``list_models('crossformer*ade20k*')``.

    Args:
        pattern: a pattern as of file names.
    """
    return sorted(name for name in catalog() if fnmatchcase(name, pattern))


@cache
def architectures() -> dict[str, ModelEntry]:
    """The ImageNet-1k classifiers by the name of their architecture."""
    return {name.split('_')[0]: entry for name, entry in catalog().items() if re.fullmatch(r'[a-z-]+_\d+xb\d+_in1k', name)}


def find_model(name: str) -> ModelEntry | None:
    """A model by its name, by its architecture ('smt-small': the ImageNet-1k weights), or by a task whose weights come
    with the package ('segmentation', 'detection', 'restoration')."""
    shipped = (entry for entry in catalog().values() if entry.task == name and entry.shipped)
    return catalog().get(name) or architectures().get(name) or next(shipped, None)


def similar_models(name: str) -> str:
    """Words on which models have names like this one."""
    names = {*catalog(), *architectures(), *TASKS.values()}
    close = get_close_matches(name, sorted(names), n=3) or [other for other in catalog() if other.startswith(name)][:3]
    return f'did you mean {" or ".join(close)}?' if close else 'mmvisattn.list_models() has the names'


def official_weights(entry: ModelEntry) -> Path:
    """The file that the authors publish, fetched once and kept in ``MMVISATTN_HOME``.

    Raises:
        DownloadError: if it cannot be fetched, or must be fetched by hand; the message says from where and to which place.
    """
    folder = home() / 'checkpoints'
    if entry.url:
        return fetch(entry.url, folder / f'{entry.name}{Path(entry.url).suffix}', entry.sha256)
    for path in sorted(folder.glob(f'{entry.name}.*')):
        if path.suffix in ('.pth', '.pt', '.tar', '.safetensors'):
            return path
    if not entry.page:
        raise DownloadError(f'no weights of {entry.name} are published')
    raise DownloadError(f'the weights of {entry.name} must be downloaded by hand: from {entry.page} '
                        f'to {folder / entry.name}.pth')
