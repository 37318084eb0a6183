"""The architecture of a Restormer is found in its weights, by our names and by the authors'."""
import pytest
import torch
from helpers import golden

from mmvisattn.models import Restormer
from mmvisattn.restoration.from_checkpoint import restormer_settings
from mmvisattn.weights import load_official

RECORDINGS = ['restormer_restormer', 'restormer_restormer_biasfree', 'restormer_restormer_dual_pixel',
              'restormer_restormer_gray_biasfree', 'restormer_restormer_small']


@pytest.mark.parametrize('name', RECORDINGS)
def test_the_authors_checkpoints(name):
    state = golden.checkpoint(golden.read(name))
    settings = restormer_settings(state)
    with torch.device('meta'):
        model = Restormer(**settings)
    assert settings['norm'] == ('bias_free' if 'biasfree' in name else 'with_bias')
    assert settings['dual_pixel'] == ('dual' in name) == (settings['in_channels'] == 6)
    assert {tuple(tensor.shape) for tensor in model.state_dict().values()} == {
        tuple(tensor.shape) for tensor in state.values()}
    if name.endswith('small'):
        load_official(Restormer(**settings), state)


@pytest.mark.parametrize('settings', [
    dict(embed_dims=16, depths=(1, 2, 3, 1), num_refinement_blocks=0, num_heads=(1, 1, 2, 4), norm='bias_free'),
    dict(embed_dims=8, depths=(1, 1, 1, 1), num_heads=(2, 2, 2, 2), bias=True, ffn_expansion_factor=2.0, in_channels=1,
         out_channels=1),
    dict(embed_dims=8, depths=(1, 1, 1, 1), ffn_expansion_factor=1.3, in_channels=6, dual_pixel=True)], ids=str)
def test_our_checkpoints(settings):
    model = Restormer(**settings)
    state = {f'module.backbone.{name}': tensor for name, tensor in model.state_dict().items()}
    again = Restormer(**restormer_settings(state))
    again.load_state_dict(model.state_dict())
    image = torch.rand(1, settings.get('in_channels', 3), 16, 16)
    torch.testing.assert_close(again(image), model(image))


def test_other_weights_are_refused():
    for state in ({'conv.weight': torch.zeros(3, 3, 3, 3)}, {'encoder.embedding.weight': torch.zeros(8, 3, 3, 3)}, {}):
        with pytest.raises(ValueError, match='not the weights of a Restormer'):
            restormer_settings(state)
