"""Every model of the metafiles is found by its name."""
import pytest
from helpers.published import SHIPPED
from helpers.reduced import ROOT
from mmengine.registry import MODELS

import mmvisattn
from mmvisattn.weights import find_model, read_checkpoint, similar_models
from mmvisattn.weights.catalog import catalog


def test_models_are_listed_by_pattern():
    assert 'smt-small_8xb128_in1k' in mmvisattn.list_models()
    names = mmvisattn.list_models('crossformer*ade20k*')
    assert len(names) == 10 and all(name.startswith('crossformer') for name in names)
    assert mmvisattn.list_models('nothing*') == []


@pytest.mark.parametrize('entry', catalog().values(), ids=catalog())
def test_every_model_can_be_loaded_and_says_where_its_weights_are(entry):
    assert entry.config.is_file()
    assert entry.backbone is None or entry.task == 'classification'
    assert sum(map(bool, (entry.url, entry.page, entry.shipped))) == 1
    assert entry.data


def test_the_address_of_a_published_file():
    assert find_model('smt-small').url.endswith('smt_small.pth')
    assert find_model('smt-small') is find_model('smt-small_8xb128_in1k')


def test_figures_are_those_of_the_metafile():
    entry = find_model('crossformer-small-g14_fpn_8xb2-80k_ade20k-512x512')
    assert entry.figures['ADE20K', 'mIoU'] == 46.4 and entry.task == 'segmentation'


@pytest.mark.parametrize('name', [entry.name for entry in catalog().values() if entry.backbone])
def test_every_named_backbone_exists(name):
    backbone = dict(catalog()[name].backbone)
    assert backbone['arch'] in MODELS.get(backbone['type']).archs


def test_a_name_that_is_almost_one_is_suggested():
    assert 'smt-small' in similar_models('smt-smal')
    with pytest.raises(FileNotFoundError, match='did you mean.*smt-small'):
        read_checkpoint('smt-smal')
    assert 'list_models' in similar_models('xyz')


def test_a_checkpoint_may_be_a_name():
    shipped = next(entry for entry in catalog().values() if entry.shipped)
    assert read_checkpoint(shipped.name) and read_checkpoint(shipped.task)


def test_every_shipped_file_has_an_entry_and_a_card():
    assert {catalog()[name].task for name in SHIPPED} == {'segmentation', 'detection', 'restoration'}
    files = list((ROOT / 'mmvisattn/pretrained').glob('*.safetensors'))
    assert sum(path.stat().st_size for path in files) < 20 * 2**20
    for path in files:
        assert catalog()[path.stem].shipped == path
        assert path.with_suffix('.md').read_text().startswith(f'# {path.stem}')
