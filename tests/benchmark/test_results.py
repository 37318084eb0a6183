"""Tables, growth and comparison of results, from figures that are known."""
from copy import deepcopy

import pytest

from mmvisattn.benchmark.comparison import compared
from mmvisattn.benchmark.results import as_csv, exponents, markdown, read_results
from mmvisattn.benchmark.runs import quartiles
from mmvisattn.benchmark.subjects import is_known, registered
from mmvisattn.cli.usage import UsageError


def row(model, side, latency, ratio, **more):
    return dict(dict(
        model=model, mode='inference', part='backbone', batch=1, height=side, width=side, macs=side**4, latency=latency,
        quartiles=[0.98 * latency, 1.02 * latency], images_per_second=1 / latency, memory=2**20, ratio=ratio,
        ratio_quartiles=[0.99 * ratio, 1.01 * ratio]), **more)


@pytest.fixture
def results():
    """'a' grows with the pixels, 'b' with their square, until the memory is full."""
    rows = [row('a', side, side**2 / 1e6, 1.0) for side in (100, 200, 400)]
    rows += [row('b', side, side**4 / 1e9, side**2 / 1e3) for side in (100, 200, 400)]
    rows.append(dict(model='b', mode='inference', part='backbone', batch=1, height=800, width=800, error='out of memory'))
    environment = dict(processor='P', device='CPU', threads=2, torch='2', mmvisattn='1', commit=None, packages={},
                       variables={}, date='today')
    return dict(environment=environment, settings=dict(amp=None, compile=False, channels_last=True), rounds=3, baseline='a',
                models=dict(a=dict(model='a', parameters=10**6), b=dict(model='b', parameters=2 * 10**6)), rows=rows)


def test_growth_is_fitted(results):
    found = exponents(results)
    assert found['a', 'inference', 'backbone', 1] == pytest.approx(1)
    assert found['b', 'inference', 'backbone', 1] == pytest.approx(2)
    results['rows'] = results['rows'][:2]
    assert not exponents(results)


def test_tables_tell_all(results):
    text = markdown(results)
    assert 'channels last' in text and 'out of memory' in text and '40 (39.2 to 40.8)' in text
    assert '| b     | inference, backbone, batch 1 | 2.00    | 2.00 |' in text
    lines = as_csv(results).splitlines()
    assert len(lines) == 1 + len(results['rows'])
    assert lines[1] == 'a,inference,backbone,1,100,100,1000000,100000000,0.01,0.0098,0.0102,100.0,1048576,1.0,0.99,1.01,'


def test_a_comparison_tells_changes_from_noise(results):
    assert '0 of 6 changed' in compared(results, results).replace('0 of 7', '0 of 6')
    new = deepcopy(results)
    # The machine is slower now, which hits both models alike: their ratios stay.
    for changed in new['rows'][:6]:
        changed['latency'] *= 1.5
    faster = new['rows'][3]
    faster.update(ratio=0.8 * faster['ratio'], ratio_quartiles=[0.8 * value for value in faster['ratio_quartiles']])
    new['rows'][4]['macs'] *= 2
    new['rows'][5] = dict(new['rows'][6], height=400, width=400)
    new['environment']['torch'] = '3'
    text = compared(results, new)
    assert 'torch: 2 before, 3 now' in text and '-20.0%' in text and 'MACs +100.00%' in text
    assert '| out of memory' in text and '3 of 7 changed' in text


def test_small_and_unsteady_memory_is_noise(results):
    new = deepcopy(results)
    new['rows'][0]['memory'] += 2**20
    assert '0 of 7' in compared(results, new)
    for content in (results, new):
        content['rows'][1]['memory'] = 2**30
    new['rows'][1]['memory'] *= 1.1
    text = compared(results, new)
    assert '1 of 7' in text and 'memory +10%' in text


def test_a_name_that_stands_for_another_model_is_said(results):
    new = deepcopy(results)
    new['models']['b']['model'] = 'c'
    new['rows'][4]['macs'] *= 2
    text = compared(results, new)
    assert 'b is another model: b before, c now' in text and '0 of 3' in text
    for content, folder in ((results, 'here'), (new, 'there')):
        content['models']['b']['model'] = f'{folder}/config.py'
    assert 'another' not in compared(results, new)


def test_free_memory_is_no_setting_that_differs(results):
    new = deepcopy(results)
    results['settings']['memory_limit'], new['settings']['memory_limit'] = 1, 2
    assert 'settings' not in compared(results, new)


@pytest.mark.parametrize('content', ['{"format"', '[]', '{"format": 1}', '{"format": 1, "rows": []}'])
def test_damaged_results_are_named(tmp_path, content):
    path = tmp_path / 'results.json'
    path.write_text(content)
    with pytest.raises(UsageError, match='results.json'):
        read_results(path)


def test_quartiles():
    assert quartiles([1.0]) == (1, 1, 1)
    assert quartiles([1.0, 2.0, 3.0, 4.0, 100.0]) == (2, 3, 4)


def test_registered_types_are_read():
    assert registered("mmseg.ResNet(depth=50, norm_cfg=dict(type='BN')) + mmseg.FPN(in_channels=[1, 2])") == [
        dict(type='mmseg.ResNet', depth=50, norm_cfg=dict(type='BN')), dict(type='mmseg.FPN', in_channels=[1, 2])]
    assert registered('mmseg.ResNet') == [dict(type='mmseg.ResNet')]
    for text in ('config.py', 'ResNet', 'mmseg.ResNet(50)', "__import__('os')", 'mmseg.ResNet(depth=f())', 'smt-small', ''):
        assert registered(text) is None
    assert is_known('smt-small') and is_known('swin-tiny') and not is_known('smt-smal')
