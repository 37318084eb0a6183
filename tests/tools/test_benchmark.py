"""Benchmarks, run as a user runs them."""
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.reduced import ROOT
from helpers.runs import assert_refused, environment

from mmvisattn.dependencies import lacking

BENCHMARK = ROOT / 'tools/benchmark.py'
CONFIG = ROOT / 'configs/topformer/topformer-tiny_simple-head_1xb16-850_miniature-96x96.py'


@pytest.fixture(scope='module')
def measured(run_tool_in, tmp_path_factory):
    """A segmentor and a backbone, at two sizes, one of which is too large for the memory."""
    pytest.importorskip('mmseg')
    folder = tmp_path_factory.mktemp('benchmark')
    done = run_tool_in(folder, BENCHMARK, 'whole=segmentation', 'mmvisattn.TopFormer(arch="small", drop_path_rate=0.0)',
                       '--size', 128, 64, 6400, 6400, '--mode', 'inference', 'train', '--part', 'backbone', 'output',
                       '--memory-limit', 0.3, '--rounds', 2, '--threads', 1, '--device', 'cpu', '--out', 'out')
    assert done.returncode == 0, done.stderr
    return folder, done, json.loads((folder / 'out/results.json').read_text())


def test_every_cell_is_measured(measured):
    folder, done, results = measured
    first, second = results['models']
    assert first == 'whole' and second.startswith('mmvisattn.TopFormer')
    assert [(row['mode'], row['part']) for row in results['rows'][::4]] == [
        ('inference', 'backbone'), ('inference', 'output'), ('train', 'backbone')]
    for row in results['rows']:
        if row['model'] == second and row['part'] == 'output':
            assert row['error'] == 'has no output'
        elif row['height'] == 6400:
            assert row['error'].startswith('out of memory') and 'latency' not in row
        else:
            assert row['macs'] > 0 and row['latency'] > 0 and len(row['times']) == 2 and row['memory'] > 2**16
            assert row['images_per_second'] == pytest.approx(1 / row['latency'])
            assert (row['ratio'] == 1) == (row['model'] == 'whole')
    of_whole = [row['macs'] for row in results['rows'] if row['model'] == 'whole' and row['height'] == 128]
    assert of_whole[0] == of_whole[2] < of_whole[1]
    assert results['environment']['threads'] == 1 and results['environment']['torch']
    assert {path.name for path in (folder / 'out').iterdir()} == {
        'results.json', 'results.csv', 'results.md', 'results.png'}
    assert 'out of memory' in done.stdout


def test_results_are_shown_again_and_compared(measured, run_tool_in):
    folder, done, _ = measured
    again = run_tool_in(folder, BENCHMARK, 'out/results.json', '--compare', 'out/results.json')
    assert again.returncode == 0, again.stderr
    assert '0 of 12 changed beyond noise' in again.stdout and done.stdout.splitlines()[0] in again.stdout
    assert_refused(run_tool_in(folder, BENCHMARK, 'out/results.json', '--out', 'out'), '--out out', '--overwrite')


def test_counting_alone(run_tool, tmp_path):
    done = run_tool(BENCHMARK, 'topformer-tiny', '--size', 64, 64, 128, 128, 256, 256, '--rounds', 0, '--out', 'out')
    assert done.returncode == 0, done.stderr
    assert '| topformer-tiny | inference, backbone, batch 1 | -       | 1.00 |' in done.stdout
    assert not (tmp_path / 'out/results.png').exists()


@pytest.mark.parametrize('arguments, words', [
    (['smt-smal'], ['smt-smal', 'smt-small']),
    (['no/config.py'], ['no config no/config.py']),
    (['none.json'], ['no results none.json']),
    (['smt-tiny', 'smt-tiny'], ['given twice']),
    (['smt-tiny', '--size', 512], ['--size 512', 'width']),
    (['smt-tiny', '--batch', 0], ['--batch', 'at least 1']),
    (['smt-tiny', '--baseline', 'x'], ['--baseline x', 'smt-tiny']),
    (['smt-tiny', '--device', 'quantum'], ['--device quantum']),
    (['smt-tiny', '--device', 'meta'], ['--device meta', 'cuda:1']),
    (['smt-tiny', '--memory-limit', 'nan'], ['--memory-limit nan', 'above 0']),
    (['smt-tiny', '--memory-limit', '1e300'], ['--memory-limit 1e+300', 'above 0']),
    (['smt-tiny', '--memory-limit', -1], ['--memory-limit -1', 'above 0']),
    (['smt-tiny', '--mode', 'train', '--part', 'output'], ['--part backbone']),
])
def test_misuse(arguments, words, run_tool):
    assert_refused(run_tool(BENCHMARK, *arguments), *words)


@pytest.mark.parametrize('number, status', [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_ends_the_workers(number, status, tmp_path):
    command = [sys.executable, BENCHMARK, 'topformer-tiny', '--size', '64', '64', '--rounds', '100000']
    # A shell lets what it runs in the background ignore Ctrl-C, and so would what that starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True,
                          env=environment()) as running:
        try:
            output = ''
            while not re.search(r' [1-9]\d*/100000', output) and running.poll() is None:
                output += running.stderr.read(1)
            workers = Path(f'/proc/{running.pid}/task/{running.pid}/children').read_text().split()
            running.send_signal(number)
            output += running.communicate(timeout=60)[1]
        finally:
            running.kill()
    assert running.returncode == status and 'Traceback' not in output and workers
    assert not any(Path(f'/proc/{worker}').exists() for worker in workers)


def test_models_without_a_figure_in_a_cell_are_drawn(run_tool, tmp_path):
    """Two models with published figures fail, the third one is measured."""
    done = run_tool(BENCHMARK, 'topformer-tiny', 'smt-tiny', CONFIG, '--part', 'logits', '--size', 64, 64, '--rounds', 1,
                    '--out', 'out')
    assert done.returncode == 0 and (tmp_path / 'out/results.png').is_file(), done.stderr
    assert 'has no logits' in done.stdout


@pytest.mark.skipif(lacking('mmpretrain') is not None, reason='needs mmpretrain')
def test_backbones_of_mmpretrain_are_counted(run_tool):
    done = run_tool(BENCHMARK, 'mmpretrain.ResNet(depth=18)', '--size', 64, 64, '--rounds', 0)
    assert done.returncode == 0 and '| 11.2 ' in done.stdout, done.stderr
