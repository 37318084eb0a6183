"""Files are fetched whole, once, and from where a cut connection left off, from a real server."""
import hashlib
import http.server
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from mmvisattn.weights import catalog, read_checkpoint
from mmvisattn.weights.download import DownloadError, fetch

CONTENT = bytes(range(256)) * 1000
STATE = {'a.weight': torch.arange(3.0)}


class Server(http.server.ThreadingHTTPServer):
    """Serves ``files``. Sends at most ``limit`` bytes at a time, then closes the connection."""

    def __init__(self):
        super().__init__(('127.0.0.1', 0), Handler)
        self.files, self.limit, self.tag, self.asked = {}, None, '"1"', []
        self.resumes = True
        self.url = f'http://127.0.0.1:{self.server_port}'


class Handler(http.server.BaseHTTPRequestHandler):

    def do_GET(self):
        content, start = self.server.files.get(self.path), 0
        self.server.asked.append((self.path, self.headers.get('Range')))
        if self.path == '/silent':
            return
        if content is None:
            self.send_error(404)
            return
        if self.server.resumes and self.headers.get('Range') and self.headers.get('If-Range') == self.server.tag:
            start = int(self.headers['Range'][len('bytes='):-1])
        if start and start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if self.path == '/login':
            self.send_header('Content-Type', 'text/html; charset=utf-8')
        if self.server.tag:
            self.send_header('ETag', self.server.tag)
        self.send_header('Content-Length', str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start:][:self.server.limit])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        server.files['/model.pth'] = CONTENT
        yield server
        server.shutdown()


def test_a_cut_connection_is_continued(server, tmp_path):
    server.limit = 100_000
    path = fetch(f'{server.url}/model.pth', tmp_path / 'model.pth', hashlib.sha256(CONTENT).hexdigest())
    assert path.read_bytes() == CONTENT
    assert [start for _, start in server.asked] == [None, 'bytes=100000-', 'bytes=200000-']
    assert {other.name for other in tmp_path.iterdir()} <= {'model.pth', '.model.pth.lock'}


def test_a_later_call_continues(server, tmp_path):
    server.limit = 100_000
    (tmp_path / 'model.pth.part').write_bytes(CONTENT[:150_000])
    (tmp_path / 'model.pth.version').write_text(server.tag)
    assert fetch(f'{server.url}/model.pth', tmp_path / 'model.pth').read_bytes() == CONTENT
    assert server.asked[0][1] == 'bytes=150000-'


@pytest.mark.parametrize('part', [b'older' * 100, CONTENT, CONTENT + b'more'])
def test_a_part_of_another_file_is_not_continued(part, server, tmp_path):
    (tmp_path / 'model.pth.part').write_bytes(part)
    (tmp_path / 'model.pth.version').write_text('"0"' if part.startswith(b'older') else server.tag)
    assert fetch(f'{server.url}/model.pth', tmp_path / 'model.pth').read_bytes() == CONTENT


@pytest.mark.parametrize('setting', [dict(tag=''), dict(tag='W/"1"'), dict(resumes=False)])
def test_a_server_that_cannot_continue_is_reported(setting, server, tmp_path):
    vars(server).update(limit=100_000, **setting)
    with pytest.raises(DownloadError, match='cannot download.*model.pth.*cut'):
        fetch(f'{server.url}/model.pth', tmp_path / 'model.pth')
    server.limit = None
    assert fetch(f'{server.url}/model.pth', tmp_path / 'model.pth').read_bytes() == CONTENT


def test_another_hash_is_refused(server, tmp_path):
    with pytest.raises(DownloadError, match='sha256 is [0-9a-f]{64}, not 00'):
        fetch(f'{server.url}/model.pth', tmp_path / 'model.pth', '00')
    assert {path.name for path in tmp_path.iterdir()} == {'.model.pth.lock'}


def test_a_web_page_is_no_file(server, tmp_path):
    server.files['/page'] = b'\n<!DOCTYPE html><html>Virus scan warning</html>'
    with pytest.raises(DownloadError, match='web page'):
        fetch(f'{server.url}/page', tmp_path / 'model.pth')
    assert {path.name for path in tmp_path.iterdir()} == {'.model.pth.lock'}


@pytest.mark.parametrize('content, words', [(b'', 'it is empty'), (b'<Error><Code>AccessDenied</Code></Error>', 'web page')])
def test_an_answer_without_content_is_not_kept(content, words, server, tmp_path):
    server.files['/answer.pth'] = content
    with pytest.raises(DownloadError, match=words):
        fetch(f'{server.url}/answer.pth', tmp_path / 'model.pth')
    assert {path.name for path in tmp_path.iterdir()} == {'.model.pth.lock'}


@pytest.mark.parametrize('path, words', [('/nothing', '404'), ('/silent', 'cannot download')])
def test_no_answer_is_reported(path, words, server, tmp_path):
    with pytest.raises(DownloadError, match=words):
        fetch(f'{server.url}{path}', tmp_path / 'model.pth')


@pytest.mark.parametrize('url', ['http://host:abc/x.pth', 'http://127.0.0.1:9/x.pth'])
def test_addresses_that_lead_nowhere_are_explained(url, tmp_path, monkeypatch):
    monkeypatch.setenv('MMVISATTN_HOME', str(tmp_path))
    with pytest.raises(FileNotFoundError, match='cannot download'):
        read_checkpoint(url)


def test_a_folder_that_cannot_be_made_is_reported(server, tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(DownloadError, match='cannot download'):
        fetch(f'{server.url}/model.pth', tmp_path / 'file' / 'model.pth')


def test_processes_share_one_download(server, tmp_path):
    with ThreadPoolExecutor() as pool:
        paths = list(pool.map(lambda _: fetch(f'{server.url}/model.pth', tmp_path / 'model.pth'), range(4)))
    assert len(set(paths)) == 1 and len(server.asked) == 1


def test_a_url_is_fetched_once(server, tmp_path, monkeypatch):
    monkeypatch.setenv('MMVISATTN_HOME', str(tmp_path))
    for name, state in (('/one/model.pth', STATE), ('/two/model.pth', {'b.weight': torch.zeros(1)})):
        torch.save(state, tmp_path / 'served.pth')
        server.files[name] = (tmp_path / 'served.pth').read_bytes()
    assert list(read_checkpoint(f'{server.url}/one/model.pth')) == ['a.weight']
    assert list(read_checkpoint(f'{server.url}/two/model.pth')) == ['b.weight']  # same base name, other file
    assert list(read_checkpoint(f'{server.url}/one/model.pth')) == ['a.weight']
    assert len(server.asked) == 2


def test_a_fetched_file_that_is_no_checkpoint_is_named_with_its_place(server, tmp_path, monkeypatch):
    monkeypatch.setenv('MMVISATTN_HOME', str(tmp_path))
    with pytest.raises(ValueError, match=f'model.pth.*{tmp_path}.*cannot be read'):
        read_checkpoint(f'{server.url}/model.pth')


def test_a_kept_file_that_is_no_checkpoint_may_be_fetched_again(tmp_path, monkeypatch):
    monkeypatch.setenv('MMVISATTN_HOME', str(tmp_path))
    (tmp_path / 'toy.pth').write_text('{"message": "Too many requests"}')
    with pytest.raises(ValueError, match=f'{tmp_path}/toy.pth cannot be read.*; delete it to fetch it again'):
        read_checkpoint(tmp_path / 'toy.pth')


def entry(**settings):
    return catalog.ModelEntry(name='toy', task='segmentation', data='toys', **settings)


def test_official_weights_with_an_address_are_fetched_and_kept(server, tmp_path, monkeypatch):
    monkeypatch.setenv('MMVISATTN_HOME', str(tmp_path))
    toy = entry(url=f'{server.url}/model.pth', sha256=hashlib.sha256(CONTENT).hexdigest())
    assert catalog.official_weights(toy) == catalog.official_weights(toy) == tmp_path / 'checkpoints/toy.pth'
    assert len(server.asked) == 1


def test_official_weights_on_a_page_are_picked_up(tmp_path, monkeypatch):
    monkeypatch.setenv('MMVISATTN_HOME', str(tmp_path))
    with pytest.raises(DownloadError, match=f'https://page.*{tmp_path}/checkpoints/toy.pth'):
        catalog.official_weights(entry(page='https://page'))
    (tmp_path / 'checkpoints').mkdir(exist_ok=True)
    (tmp_path / 'checkpoints/toy.pth').write_bytes(CONTENT)
    assert catalog.official_weights(entry(page='https://page')) == tmp_path / 'checkpoints/toy.pth'


def test_weights_that_nobody_publishes(tmp_path, monkeypatch):
    monkeypatch.setenv('MMVISATTN_HOME', str(tmp_path))
    with pytest.raises(DownloadError, match='no weights of toy'):
        catalog.official_weights(entry())


def test_a_page_that_says_so_is_no_file(server, tmp_path):
    server.files['/login'] = b'Please log in.'
    with pytest.raises(DownloadError, match='web page'):
        fetch(f'{server.url}/login', tmp_path / 'model.pth')


def test_a_file_in_a_folder_that_cannot_be_written_is_used(tmp_path, monkeypatch):
    (tmp_path / 'model.pth').write_bytes(CONTENT)
    monkeypatch.setattr('mmvisattn.weights.download.FileLock', None)
    assert fetch('http://127.0.0.1:9/model.pth', tmp_path / 'model.pth').read_bytes() == CONTENT
