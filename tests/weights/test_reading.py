"""Files are read without running code from them."""
import argparse
import functools
import http.server
import os
import pickle
import sys
import threading
import types
import zipfile

import numpy as np
import pytest
import torch

from mmvisattn.weights import read_checkpoint, read_weights

STATE = {'a.weight': torch.arange(3.0)}


class Hostile:
    """Runs a command when it is unpickled."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def assert_read(state):
    assert list(state) == list(STATE) and torch.equal(state['a.weight'], STATE['a.weight'])


def test_a_hostile_file_is_refused_and_not_run(tmp_path):
    trace = tmp_path / 'trace'
    torch.save(dict(STATE, extra=Hostile(f'touch {trace}')), tmp_path / 'hostile.pth')
    with pytest.raises(ValueError, match='hostile.pth.*never run'):
        read_checkpoint(tmp_path / 'hostile.pth')
    assert not trace.exists()
    with open(tmp_path / 'hostile.pth', 'rb') as file:  # the file does bite, if it is let
        torch.load(file, weights_only=False)
    assert trace.exists()


def test_a_pickled_config_node_is_data_only(tmp_path, monkeypatch):
    """As in CrossFormer's and SMT's files; yacs is not needed to read them."""
    module = types.ModuleType('yacs.config')
    module.CfgNode = type('CfgNode', (dict,), dict(__module__='yacs.config'))
    monkeypatch.setitem(sys.modules, 'yacs', types.ModuleType('yacs'))
    monkeypatch.setitem(sys.modules, 'yacs.config', module)
    config = module.CfgNode(MODEL=module.CfgNode(NAME='x'))
    config.__dict__['__immutable__'] = True
    torch.save(dict(model=STATE, config=config), tmp_path / 'official.pth')
    monkeypatch.delitem(sys.modules, 'yacs.config')
    assert_read(read_checkpoint(tmp_path / 'official.pth'))


@pytest.mark.parametrize('core', ['core', '_core'])
def test_arguments_and_numpy_scalars_are_data_only(core, tmp_path, monkeypatch):
    """As timm writes them into TopFormer's files, with the module names of numpy 1 or 2."""
    extra = dict(args=argparse.Namespace(lr=np.float64(0.1), mean=np.array([1.0, 2.0], dtype=np.float32), name='x',
                                         on=np.bool_(True), steps=np.array(['a', 'bc'])))
    module = types.ModuleType(f'numpy.{core}.multiarray')
    for name, function in (('scalar', np.float64(0).__reduce__()[0]), ('_reconstruct', np.empty(0).__reduce__()[0])):
        monkeypatch.setattr(function, '__module__', module.__name__, raising=False)
        setattr(module, name, function)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    torch.save(dict(state_dict=STATE, **extra), tmp_path / 'official.pth')
    content = b''.join(zipfile.ZipFile(tmp_path / 'official.pth').read(name) for name in ('official/data.pkl',))
    assert f'numpy.{core}.multiarray'.encode() in content
    assert_read(read_checkpoint(tmp_path / 'official.pth'))


def test_arguments_that_run_code_are_refused(tmp_path):
    trace = tmp_path / 'trace'
    torch.save(dict(STATE, args=argparse.Namespace(hook=Hostile(f'touch {trace}'))), tmp_path / 'hostile.pth')
    with pytest.raises(ValueError, match='hostile.pth.*never run'):
        read_checkpoint(tmp_path / 'hostile.pth')
    assert not trace.exists()


EMA = {'a.weight': torch.arange(3.0) + 1}


@pytest.mark.parametrize('content', [
    dict(state_dict=EMA, state_dict_ema=STATE), dict(state_dict_ema=STATE, model=EMA),
    dict(model=dict(state_dict_ema=STATE))])
def test_averaged_weights_come_first_and_are_reported(content):
    state, note = read_weights(content)
    assert_read(state)
    assert note.startswith('the weights of state_dict_ema')
    assert ('not those of' in note) == (len(content) > 1)


def test_raw_weights_can_be_chosen():
    state, note = read_weights(dict(state_dict=STATE, state_dict_ema=EMA), 'raw')
    assert_read(state)
    assert note == 'the weights of state_dict, not those of state_dict_ema'
    assert read_weights(dict(state_dict=STATE))[1] == ''
    with pytest.raises(ValueError, match='averaged weights only'):
        read_checkpoint(dict(state_dict_ema=STATE), 'raw')
    with pytest.raises(ValueError, match="weights='mean'"):
        read_checkpoint(STATE, 'mean')


@pytest.mark.parametrize('content', [b'', b'not a checkpoint', pickle.dumps(3)], ids=['empty', 'text', 'pickle'])
def test_damaged_files_are_named(content, tmp_path):
    (tmp_path / 'bad.pth').write_bytes(content)
    with pytest.raises(ValueError, match='bad.pth'):
        read_checkpoint(tmp_path / 'bad.pth')


def test_a_truncated_file_is_named(tmp_path):
    torch.save(STATE, tmp_path / 'whole.pth')
    (tmp_path / 'half.pth').write_bytes((tmp_path / 'whole.pth').read_bytes()[:300])
    with pytest.raises(ValueError, match='half.pth'):
        read_checkpoint(tmp_path / 'half.pth')


def test_a_file_without_weights_is_explained(tmp_path):
    torch.save(dict(epoch=3), tmp_path / 'log.pth')
    with pytest.raises(ValueError, match='state_dict_ema'):
        read_checkpoint(tmp_path / 'log.pth')


def test_a_missing_file_is_named():
    with pytest.raises(FileNotFoundError, match='nowhere.pth'):
        read_checkpoint('nowhere.pth')


def test_a_url_is_fetched_once(tmp_path, monkeypatch):
    served = tmp_path / 'served'
    for folder in ('one', 'two'):
        (served / folder).mkdir(parents=True)
    torch.save(STATE, served / 'one' / 'model.pth')
    torch.save({'b.weight': torch.zeros(1)}, served / 'two' / 'model.pth')
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'cache'))
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(served))
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f'http://127.0.0.1:{server.server_port}'
        assert_read(read_checkpoint(f'{base}/one/model.pth'))
        assert list(read_checkpoint(f'{base}/two/model.pth')) == ['b.weight']  # same base name, other file
        with pytest.raises(FileNotFoundError, match='three'):
            read_checkpoint(f'{base}/three/model.pth')
        server.shutdown()
    assert_read(read_checkpoint(f'{base}/one/model.pth'))  # the server is gone
