"""Effective receptive fields, against those that are known."""
import json

import cv2
import numpy as np
import pytest
import torch
from helpers.reduced import ROOT
from helpers.runs import assert_refused
from torch import nn

from mmvisattn.analysis.receptive_field import (
    contributions,
    fingerprint,
    maps_of,
    read_fields,
    side_of,
    sizes,
    write_fields,
)

TOOL = ROOT / 'tools/receptive_field.py'


@pytest.mark.parametrize('depth', [1, 3, 8])
def test_a_stack_of_3x3_convolutions_has_the_analytic_field(depth):
    stack = nn.Sequential(*(nn.Conv2d(2, 2, 3, padding=1, bias=False) for _ in range(depth)))
    for conv in stack:
        nn.init.ones_(conv.weight)
    field = contributions(stack, 0, [torch.randn(1, 2, 41, 41) for _ in range(2)])
    ray = np.ones(1)
    for _ in range(depth):
        ray = np.convolve(ray, np.ones(3) / 3)
    expected = np.zeros((41, 41))
    expected[20 - depth:21 + depth, 20 - depth:21 + depth] = np.outer(ray, ray)
    np.testing.assert_allclose(field, expected, atol=1e-7)
    assert sizes(field)['all'] == 2 * depth + 1
    within = [expected[20 - r:21 + r, 20 - r:21 + r].sum() for r in range(21)]
    assert side_of(field, 0.5) == 2 * next(r for r, share in enumerate(within) if share >= 0.5) + 1


def test_every_map_has_a_field():
    model = nn.ModuleList([nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 5, padding=2)])
    model.forward = lambda x: [conv(x) for conv in model]
    image = torch.randn(1, 3, 21, 21)
    assert len(maps_of(model, image)) == 2
    assert [sizes(contributions(model, index, [image]))['all'] for index in range(2)] == [3, 5]


def test_a_model_that_sees_nothing_is_an_error():
    conv = nn.Conv2d(3, 4, 3, padding=1)
    nn.init.zeros_(conv.weight)
    with pytest.raises(ValueError, match='no pixel'):
        contributions(conv, 0, [torch.randn(1, 3, 9, 9)])


def test_the_tool_states_and_draws(run_tool, tmp_path):
    command = [TOOL, 'topformer-tiny', '--size', 64, '--samples', 1, '--out', 'out']
    done = run_tool(*command)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / 'out/receptive_field.json').read_text())
    assert len(found['sides']) == 5 and found['sides'][0]['50%'] <= found['sides'][0]['95%'] <= found['sides'][0]['all']
    assert 'map 4: 50% of the contributions' in done.stdout and (tmp_path / 'out/receptive_field.png').is_file()
    assert found['weights'] == 'random weights' and 'cut off by the image' in done.stdout
    again = run_tool(*command, '--overwrite')
    assert json.loads((tmp_path / 'out/receptive_field.json').read_text())['sides'] == found['sides'], again.stderr
    assert_refused(run_tool(*command), '--overwrite')
    assert_refused(run_tool(TOOL, 'topformer-tin'), 'topformer-tin')
    assert_refused(run_tool(TOOL, 'topformer-tiny', '--images', 'none', '--out', 'other'), '--images none')


def test_an_interrupted_call_goes_on(run_tool, tmp_path):
    """The maps that are there are not measured again, if they are of the same model; these are dots, which no model sees."""
    command = [TOOL, 'topformer-tiny', '--size', 64, '--samples', 1, '--out', 'out']
    result, fields = tmp_path / 'out/receptive_field.json', tmp_path / 'out/fields.npz'
    assert run_tool(*command).returncode == 0
    first = json.loads(result.read_text())
    subject = {key: value for key, value in first.items() if key not in ('environment', 'sides')}
    dot = np.zeros((64, 64))
    dot[32, 32] = 1
    write_fields(fields, dict(subject, fingerprint='another'), [dot, dot])
    assert_refused(run_tool(*command), '--overwrite')
    write_fields(fields, subject, [dot, dot])
    done = run_tool(*command)
    sides = json.loads(result.read_text())['sides']
    assert [one['all'] for one in sides[:2]] == [1, 1] and sides[2:] == first['sides'][2:], done.stderr
    assert {path.name for path in (tmp_path / 'out').iterdir()} == {'receptive_field.json', 'receptive_field.png'}


def test_other_weights_and_images_have_another_fingerprint():
    images = [torch.zeros(1, 3, 9, 9), torch.zeros(1, 3, 9, 9)]
    conv = nn.Conv2d(3, 4, 3)

    def found(images):
        return fingerprint([*images, *maps_of(conv, images[0])])

    first = found(images)
    assert found(images) == first != found(images[:1])
    nn.init.ones_(conv.bias)
    assert found(images) != first


def test_fields_of_another_subject_do_not_count(tmp_path):
    path = tmp_path / 'fields.npz'
    assert read_fields(path, {}) == []
    write_fields(path, dict(size=3), [np.ones((3, 3))])
    assert len(read_fields(path, dict(size=3))) == 1 and read_fields(path, dict(size=4)) == []
    path.write_bytes(path.read_bytes()[:50])
    assert read_fields(path, dict(size=3)) == []


def test_gray_photographs_for_gray_models(run_tool, tmp_path):
    (tmp_path / 'photographs').mkdir()
    cv2.imwrite(str(tmp_path / 'photographs/a.png'), np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8))
    config = ROOT / 'configs/restormer/restormer-small_gaussian-blind_1xb8-2000_bsds-48x48.py'
    for model in (config, 'mmvisattn.Restormer(in_channels=1, out_channels=1, embed_dims=8, depths=[1, 1, 1, 1], '
                  'num_refinement_blocks=1)'):
        done = run_tool(TOOL, model, '--size', 32, '--samples', 1, '--images', 'photographs', '--overwrite')
        assert done.returncode == 0, done.stderr
