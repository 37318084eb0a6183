#!/usr/bin/env python3
"""Write the tables of published figures in configs/*/README.md, from the metafiles: docs/make_tables.py [--check]

A table lies between the lines ``<!-- table: NAME -->`` and ``<!-- end -->``.
"""
import re
import sys
from pathlib import Path

import yaml

CONFIGS = Path(__file__).parents[1] / 'configs'

# By the name of a table: the pattern of its models' names.
TABLES = {
    'ImageNet': r'.*_in\d+k',
    'ADE20K, Semantic FPN': r'.*_fpn_.*_ade20k',
    'ADE20K, UPerNet': r'.*_upernet_.*_ade20k',
    'ADE20K': r'.*_simple-head_.*_ade20k',
    'COCO': r'.*_coco',
    'Restoration': r'restormer_',
}
WORDS = {'fpn': 'Semantic FPN', 'upernet': 'UPerNet', 'retinanet': 'RetinaNet', 'mask-rcnn': 'Mask R-CNN',
         'cascade-mask-rcnn': 'Cascade Mask R-CNN', 'atss': 'ATSS', 'sparse-rcnn': 'Sparse R-CNN',
         'dino-4scale': 'DINO, 4 scales',
         'tiny': 'T', 'small': 'S', 'base': 'B', 'large': 'L', 'pp-small': '++S', 'pp-base': '++B', 'pp-large': '++L',
         'pp-huge': '++H', 'g7': 'groups of 7', 'g14': 'groups of 14'}
METRICS = {'mIoU': 'mIoU', 'mIoU(ms+flip)': 'mIoU, multi-scale', 'box AP': 'box AP', 'mask AP': 'mask AP',
           'Top 1 Accuracy': 'top-1', 'PSNR': 'PSNR (dB)', 'SSIM': 'SSIM'}


class Exact(yaml.SafeLoader):
    """Leaves numbers as they are written: 48.0 stays 48.0."""


Exact.yaml_implicit_resolvers = {}


def described(name: str) -> list[str]:
    """The architecture, the head and the schedule in a model's name."""
    model, *rest = name.split('_')
    arch, *group = re.fullmatch(r'[a-z]+(?:-(.+?))?(?:-(g\d+))?', model).groups()
    what = ', '.join(WORDS.get(word, word) for word in (arch, *group) if word)
    if rest and rest[0] in WORDS:
        return [what, WORDS[rest[0]], rest[1].split('-')[1]]
    return [what, *(re.sub(r'(\d+)xb(\d+)-.*', r'\1 x \2', part) for part in rest[1:]), *rest[:1]]


def link(model: dict, text: str) -> str:
    return f'[{text}]({Path(model["Config"]).name})' if 'Config' in model else text


def rows_of(model: dict) -> list[dict[str, str]]:
    """The values of a model's row by column title; for a restorer, one row per data set."""
    name, metadata = model['Name'], model['Metadata']
    metrics = [(result['Dataset'], {METRICS[key]: value for key, value in result['Metrics'].items()})
               for result in model.get('Results', [])]
    if name.startswith('restormer'):
        task = name.split('_')[1].replace('-', ' ')
        return [{'task': link(model, task), 'test set': dataset, **values} for dataset, values in metrics]
    words = described(name)
    row = {'backbone': link(model, words[0])}
    if 'COCO' in metadata['Training Data']:
        row |= {'detector': words[1], 'epochs': words[2].removesuffix('e')}
    elif '_simple-head_' in name:
        row |= {'crop': words[2].removeprefix('ade20k-'), 'GPUs x images': words[1]}
    elif 'ImageNet' in str(metadata['Training Data']):
        row['backbone'] += (', of ImageNet-22k' * ('22k-pre' in name) + ', 384 x 384' * name.endswith('384x384')
                            + ', ImageNet-22k, not fine-tuned' * name.endswith('_in22k'))
        row['weights'] = f'[file]({model["Weights"]})' if 'Weights' in model else f'[page]({metadata["Weights Page"]})'
    row |= {'params (M)': metadata.get('Parameters (M)', ''), 'GMACs': metadata.get('MACs (G)', '')}
    for _, values in metrics:
        row |= values
    return [row]


def table(models: list[dict]) -> str:
    """A Markdown table with the columns that any of the models has a value for."""
    rows = [row for model in models for row in rows_of(model)]
    titles = list(dict.fromkeys(title for row in rows for title, value in row.items() if value))
    lines = [titles, ['---'] * len(titles), *([row.get(title, '') for title in titles] for row in rows)]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def with_tables(readme: str, models: list[dict]) -> str:
    """A README's text with all tables generated again."""
    def made(match: re.Match) -> str:
        chosen = [model for model in models if re.match(TABLES[match[1]], model['Name'])]
        return f'<!-- table: {match[1]} -->\n{table(chosen)}\n<!-- end -->'
    return re.sub(r'<!-- table: (.+?) -->\n.*?<!-- end -->', made, readme, flags=re.DOTALL)


def main() -> None:
    for metafile in sorted(CONFIGS.glob('*/metafile.yml')):
        models = yaml.load(metafile.read_text(), Loader=Exact)['Models']
        path = metafile.with_name('README.md')
        old = path.read_text()
        new = with_tables(old, models)
        if '--check' in sys.argv and new != old:
            sys.exit(f'error: the tables of {path} are not those of {metafile}: run docs/make_tables.py')
        path.write_text(new)


if __name__ == '__main__':
    main()
