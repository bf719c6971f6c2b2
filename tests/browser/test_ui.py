"""The page of `diffx ui`, as a person sees it, and as other programs and web pages meet it."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from base64 import b64decode
from contextlib import closing, contextmanager
from functools import cached_property
from http.client import HTTPConnection
from io import BytesIO
from urllib.parse import urlsplit

import pytest
import torch
from attrs import frozen
from PIL import Image

from diffx_cli.__main__ import main
from diffx_cli.picture.pictures import GAP
from diffx_cli.ui.asking import Home
from diffx_cli.ui.facts import facts
from diffx_cli.ui.guard import Door
from diffx_cli.ui.looks import caveat, final, look
from diffx_cli.ui.server import application
from diffx_cli.ui.serving import Server, bound
from diffx_cli.ui.studio import Studio, Work
from diffx_core import DataSpec
from diffx_core.plugins import Registry

LONG = {"sampler": "euler", "nfe": "1000", "n": "200"}
"""A drawing that is not over before somebody stops it."""
SHORT = {"sampler": "euler", "nfe": "2", "n": "2"}


@frozen(slots=False)
class Served:
    """The page, and who can be asked for it."""

    url: str
    process: subprocess.Popen | None = None

    @property
    def port(self):
        return urlsplit(self.url).port

    def connected(self):
        return closing(socket.create_connection(("127.0.0.1", self.port), timeout=60))

    @cached_property
    def token(self):
        with closing(HTTPConnection("127.0.0.1", self.port)) as connection:
            connection.request("GET", "/")
            page = connection.getresponse().read().decode()
        return json.loads(re.search(r'id="facts">(.*?)</script>', page)[1])["token"]

    @contextmanager
    def asked(self, method="POST", path="/draw", body=None, **headers):
        """The answer to a request; a header that is None is left out."""
        usual = {"Content-Type": "application/json", "X-Diffx-Token": self.token}
        given = {**usual, **{name.replace("_", "-"): one for name, one in headers.items()}}
        body = json.dumps(body) if isinstance(body, dict) else body
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            sent = {name: one for name, one in given.items() if one is not None}
            connection.request(method, path, body, sent)
            yield connection.getresponse()

    def drawn(self, **texts):
        """All that is said while something is drawn."""
        with self.asked(body=texts) as answer:
            return [json.loads(line) for line in answer]

    def problems(self, **texts):
        with self.asked(body=texts) as answer:
            assert answer.status == 400
            return json.load(answer)["problems"]


@contextmanager
def serving(run, *flags):
    """The program, until Ctrl-C ends it with one line."""
    command = [sys.executable, "-m", "diffx_cli", "ui", run, "--port", "0", "--device", "cpu"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([*command, "--json", *flags], **pipes) as process:
        try:
            yield Served(json.loads(process.stdout.readline())["url"], process)
        finally:
            process.send_signal(signal.SIGINT)
            said = process.communicate(timeout=60)
        assert (process.returncode, *said) == (130, "", "diffx: error: interrupted\n")


@contextmanager
def opened(run):
    """The same server in a thread of this program, which has loaded what that takes."""
    studio = Studio.open(Home(run, "cpu"), Registry.load())
    with bound(0) as listening:
        port = listening.getsockname()[1]
        app = application(studio, facts(studio), Door(port))
        server = Server(app, studio.stop)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield Served(f"http://127.0.0.1:{port}/")
        server.should_exit = True
        studio.stop()
        thread.join()


@pytest.fixture(scope="module")
def digits(digits_run):
    with opened(digits_run) as served:
        yield served


@pytest.fixture(scope="module")
def points(points_run):
    with opened(points_run) as served:
        yield served


@pytest.fixture
def diffx(capsys):
    """Run a command line here; what it writes to stderr."""

    def run(*arguments):
        capsys.readouterr()
        code = main(list(map(str, arguments)))
        return code, capsys.readouterr().err

    return run


@pytest.fixture
def unhurried(monkeypatch):
    """Drawing waits until the page has time for each state."""
    monkeypatch.setattr(Work, "has_time", property(lambda work: work._hungry.wait(60)))


def draw(page, **values):
    for name, value in values.items():
        page.fill(f"#{name}", value)
    page.click("#draw")
    page.wait_for_selector("body[data-busy='false']")


def saved(page, link, folder):
    with page.expect_download() as download:
        page.click(link)
    file = folder / download.value.suggested_filename
    download.value.save_as(file)
    return file


def test_samples_come_about_and_are_those_of_diffx_sample(
    visit, digits, unhurried, tmp_path, diffx
):
    page = visit.page
    page.goto(digits.url)
    page.check("#chips input[value='3']")
    draw(page, amount="12", n="6", seed="7", scale="2")
    assert page.text_content("#status") == "Step 12 of 12, 12 network calls: done"
    pictures = page.evaluate("frames.map((one) => one.looks[0].image)")
    assert len(pictures) == 12
    assert len(set(pictures)) == len(pictures)
    assert page.get_attribute("#state img", "src") == pictures[-1]
    page.fill("#way", "0")
    assert page.get_attribute("#state img", "src") == pictures[0]
    assert page.get_attribute("#data img", "src") not in pictures

    picture, record = (saved(page, link, tmp_path) for link in ("#png", "#json"))
    assert json.loads(record.read_text())["labels"] == [3] * 6
    again = tmp_path / "again"
    assert diffx("sample", "--from", record, "--out", again) == (0, "")
    assert (again / "grid.png").read_bytes() == picture.read_bytes()
    assert (again / "sample.json").read_bytes() == record.read_bytes()
    assert visit.complaints == []
    assert [one for one in visit.requests if not one.startswith((digits.url, "data:"))] == []


def test_the_command_that_is_shown_draws_the_same(page, digits, tmp_path, diffx):
    page.goto(digits.url)
    page.select_option("#sampler", "dpmpp")
    page.select_option("#unit", "steps")
    page.click("#more summary")
    page.fill("[data-key='sampler.order']", "1")
    draw(page, amount="5", n="4")
    command = page.text_content("#command").split()
    assert command[:2] == ["diffx", "sample"]
    assert command[(at := command.index("--sampler.order")) : at + 2] == ["--sampler.order", "1"]
    assert diffx(*command[1:], "--out", tmp_path / "again")[0] == 0
    picture = saved(page, "#png", tmp_path).read_bytes()
    assert (tmp_path / "again" / "grid.png").read_bytes() == picture


def test_another_class_and_another_seed_make_other_samples(page, digits):
    page.goto(digits.url)
    found = []
    for label, seed in ((3, "0"), (5, "0"), (5, "1")):
        for box in page.query_selector_all("#chips input:checked"):
            box.uncheck()
        page.check(f"#chips input[value='{label}']")
        draw(page, amount="3", n="3", seed=seed)
        found.append(page.get_attribute("#png", "href"))
    assert len(set(found)) == 3


def test_a_mistake_is_said_beside_the_form(page, digits, digits_run, diffx):
    page.goto(digits.url)
    draw(page, amount="many")
    _, said = diffx("sample", digits_run, "--nfe", "many", "--device", "cpu")
    assert said == f"diffx: error: {page.inner_text('#problems p')}\n"
    draw(page, amount="2", n="2")
    assert page.is_hidden("#problems")


@pytest.mark.parametrize(
    "texts",
    [
        {"sampler": "unpc"},
        {"sampler": "unipc", "sampler.ordr": "3"},
        {"sampler": "heun", "nfe": "4"},
        {"guidance.rule": "plusplus", "guidance.scale": "2"},
        {"labels": "10"},
        {"seed": "-1", "nfe": "0"},
        {"prompt": "a seven"},
        {"nfe": "4", "steps": "4"},
    ],
    ids=",".join,
)
def test_every_mistake_has_the_lines_of_the_program(digits, digits_run, diffx, texts):
    flags = [word for key, text in texts.items() for word in (f"--{key}", text)]
    code, said = diffx("sample", digits_run, "--device", "cpu", *flags)
    assert code == 2
    assert said == "".join(f"diffx: error: {one}\n" for one in digits.problems(**texts))


def test_stopping_ends_the_network_calls(page, digits):
    page.goto(digits.url)
    page.select_option("#sampler", LONG["sampler"])
    page.fill("#amount", LONG["nfe"])
    page.fill("#n", LONG["n"])
    page.click("#draw")
    page.wait_for_selector("#state img")
    with page.expect_response("**/stop"):
        page.click("#stop")
    page.wait_for_selector("body[data-busy='false']")
    assert page.text_content("#status").endswith("stopped")
    assert page.evaluate("frames.at(-1).step") < 1000
    assert digits.drawn(**SHORT)[-1]["event"] == "done"  # it waits for the one that was stopped


def test_who_has_stopped_a_drawing_may_draw_again_at_once(digits):
    with digits.asked(body=LONG) as first:
        assert json.loads(first.readline())["event"] == "begun"
        with digits.asked(path="/stop") as answer:
            assert answer.status == 204
        assert digits.drawn(**SHORT)[-1]["event"] == "done"
        assert json.loads(first.readlines()[-1])["event"] == "stopped"


def test_there_is_one_drawing_at_a_time_and_it_ends_when_nobody_listens(digits):
    with digits.asked(body=LONG) as first:
        assert json.loads(first.readline())["event"] == "begun"
        with digits.asked(body=SHORT) as second:
            assert second.status == 409
            line = "another drawing is under way: stop it, or wait until it ends"
            assert json.load(second) == {"problems": [line]}
    for _ in range(1000):  # until the server has noticed
        with digits.asked(body=SHORT) as answer:
            answer.read()
            if answer.status != 409:
                break
    assert answer.status == 200


@pytest.mark.parametrize("unit", ["steps", "nfe"])
def test_a_page_is_for_looking(digits, unit):
    assert digits.problems(**{"n": "257", unit: "1001"}) == [
        "--n: the page draws at most 256 samples at once, not 257: use diffx sample for more",
        f"--{unit}: the page takes at most 1000, not 1001: use diffx sample for more",
    ]


@pytest.mark.parametrize("key", ["out", "config", "from", "beside", "run", "guidance.against"])
def test_what_reads_or_writes_files_is_not_for_the_page(digits, key, tmp_path):
    option = f"--{key}"
    assert digits.problems(**{key: str(tmp_path)}) == [
        f"{option}: is not for the page: use diffx sample"
    ]


@pytest.mark.parametrize(
    ("method", "headers", "why"),
    [
        ("GET", {"Host": "evil.example"}, "the Host is not this server"),
        ("GET", {"Host": "127.0.0.1:1"}, "the Host is not this server"),
        ("POST", {"Host": "evil.example"}, "the Host is not this server"),
        ("POST", {"Origin": "http://evil.example"}, "the request comes from another page"),
        ("POST", {"Origin": "null"}, "the request comes from another page"),
        ("POST", {"Sec_Fetch_Site": "cross-site"}, "the request comes from another page"),
        ("POST", {"Sec_Fetch_Site": "same-site"}, "the request comes from another page"),
        ("POST", {"X_Diffx_Token": None}, "the request does not have this page's token"),
        ("POST", {"X_Diffx_Token": "guess"}, "the request does not have this page's token"),
        ("PUT", {"X_Diffx_Token": "\xe9"}, "the request does not have this page's token"),
    ],
)
def test_others_are_refused(digits, method, headers, why):
    path = "/" if method == "GET" else "/draw"
    with digits.asked(method, path, SHORT, **headers) as answer:
        assert answer.status == 403
        assert answer.read().decode().startswith(why)


def test_both_names_of_this_machine_are_let_in(digits):
    for name in ("127.0.0.1", "localhost"):
        host = f"{name}:{digits.port}"
        with digits.asked(body=SHORT, Host=host, Origin=f"http://{host}") as answer:
            assert answer.status == 200
            answer.read()


@pytest.mark.parametrize(
    ("body", "kind", "why"),
    [
        ("{", "application/json", "the page must send JSON: "),
        ("{}", "text/plain", "the page must send JSON"),
        ("[1]", "application/json", "the page must send texts by the names of options"),
        ('{"n": 3}', "application/json", "the page must send texts of at most 2000 characters"),
        ("[" * 60_000, "application/json", "the page must send JSON: "),
        (" " * 70_000, "application/json", "the page must send at most 65536 bytes"),
    ],
    ids=["torn", "form", "list", "number", "deep", "long"],
)
def test_what_is_no_request_is_refused(digits, body, kind, why):
    with digits.asked(body=body, Content_Type=kind) as answer:
        assert answer.status == 400
        assert json.load(answer)["problems"][0].startswith(why)


def test_the_page_may_load_nothing_from_elsewhere_and_be_in_no_frame(digits):
    for path in ("/", "/page.css", "/page.js", "/nowhere"):
        with digits.asked("GET", path) as answer:
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert answer.headers["x-content-type-options"] == "nosniff"


def test_other_addresses_of_this_machine_are_not_answered(digits):
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", digits.port), timeout=5)


def test_every_sampler_is_offered(page, points):
    page.goto(points.url)
    offered = page.eval_on_selector_all("#sampler option", "all => all.map((one) => one.value)")
    assert offered == [one.name for one in Registry.load().all("sampler")]


def test_a_sampler_that_does_not_suit_cannot_be_chosen_and_it_is_said_why(page, digits):
    page.goto(digits.url)
    assert page.is_disabled("#sampler option[value='rk45']")
    assert page.is_enabled("#sampler option[value='ddpm']")
    page.click("#unsuited summary")
    assert page.inner_text("#reasons").startswith("rk45: the sampler RK45 needs any_time")


def test_what_was_drawn_stays_until_something_else_is(page, digits):
    page.goto(digits.url)
    draw(page, n="3", amount="2")
    seen = page.get_attribute("#state img", "src")
    draw(page, n="0")
    assert page.is_visible("#problems")
    assert page.get_attribute("#state img", "src") == seen
    assert page.is_visible("#done")


def test_points_are_drawn_in_the_plane(visit, points, tmp_path, diffx):
    page = visit.page
    page.goto(points.url)
    draw(page, n="50", amount="5")
    assert len(page.evaluate("frames.at(-1).looks[0].points")) == 50
    picture, record = (saved(page, link, tmp_path) for link in ("#png", "#json"))
    assert diffx("sample", "--from", record, "--out", tmp_path / "again") == (0, "")
    assert (tmp_path / "again" / "grid.png").read_bytes() == picture.read_bytes()
    assert visit.complaints == []


def test_a_sampler_with_times_of_its_own_has_steps_and_no_expected_data(page, points):
    page.goto(points.url)
    page.select_option("#sampler", "rk45")
    assert page.input_value("#unit") == "steps"
    draw(page, n="5", amount="4")
    assert page.is_visible("#state canvas")
    assert page.is_hidden("#data")


def test_a_link_opens_the_same_form(page, points):
    page.goto(points.url)
    page.check("#chips input[value='1']")
    draw(page, n="5", amount="4", seed="9", scale="1.5")
    link = page.url
    page.goto("about:blank")
    page.goto(link)
    fields = {"n": "5", "amount": "4", "seed": "9", "scale": "1.5"}
    assert {name: page.input_value(f"#{name}") for name in fields} == fields
    assert page.is_checked("#chips input[value='1']")


def test_it_opens_the_page_and_ctrl_c_ends_it_whoever_is_there(points_run, tmp_path, monkeypatch):
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
    browser.chmod(0o755)
    os.mkfifo(opened)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    with serving(points_run, "--open") as served, served.connected() as slow:
        assert opened.read_text() == f"{served.url}\n"
        torn = odd_clients(served)
        slow.send(torn)
        with served.asked(body=LONG) as answer:
            assert json.loads(answer.readline())["event"] == "begun"
            served.process.send_signal(signal.SIGINT)
            served.process.wait(timeout=60)


def odd_clients(served):
    """Be some, of which the program shall say nothing; a request that does not end."""
    host = f"Host: 127.0.0.1:{served.port}\r\n"
    head = f"X-Diffx-Token: {served.token}\r\nContent-Type: application/json\r\n"
    torn = f"POST /draw HTTP/1.1\r\n{host}{head}Content-Length: 9\r\n\r\n{{".encode()
    other = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    asking = f"GET / HTTP/1.1\r\n{host}{other}\r\n".encode()
    for odd in (torn, asking, b"\x16\x03\x01\r\n\r\n"):
        with served.connected() as gone:
            gone.send(odd)
            assert odd == torn or gone.recv(99).startswith(b"HTTP/1.1 ")
    return torn


def test_a_port_that_is_in_use_is_one_line(points_run, diffx):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        line = f"--port: {port} cannot be had on 127.0.0.1: Address already in use; name another"
        code, said = diffx("ui", points_run, "--port", port, "--device", "cpu")
    assert (code, said) == (2, f"diffx: error: {line}, or 0 for any that is free\n")


def test_a_missing_run_is_one_line(diffx, tmp_path):
    code, said = diffx("ui", tmp_path / "none", "--port", "0")
    assert code == 5
    assert said.count("\n") == 1


def test_a_missing_library_is_named(diffx, points_run, monkeypatch):
    monkeypatch.setitem(sys.modules, "starlette", None)
    assert diffx("ui", points_run) == (
        2,
        "diffx: error: diffx ui: it needs the library starlette: pip install 'diffx-cli[ui]'\n",
    )


def test_a_model_of_pairs_is_refused(diffx, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("sharp", "blurred"):
        for i in range(4):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.new("RGB", (8, 8), (60 * i, 0, 0)).save(tmp_path / folder / f"{i}.png")
    data = ["--dataset", "image_folder", "--dataset.root", "sharp", "--dataset.beside", "blurred"]
    small = ["--dataset.size", "8", "--preset", "tiny", "--train.steps", "1"]
    batch = ["--train.batch-size", "2", "--device", "cpu", "--out", "run"]
    assert diffx("train", *data, *small, *batch)[0] == 0
    code, said = diffx("ui", "run", "--port", "0", "--device", "cpu")
    assert (code, said.count("\n")) == (2, 1)
    assert said.endswith("use diffx sample --beside\n")


def test_a_run_that_goes_on_is_drawn_from_where_it_is(points_run, tmp_path, diffx):
    run = shutil.copytree(points_run, tmp_path / "run", symlinks=True)
    with opened(run) as served:
        before = served.drawn(**SHORT)
        assert diffx("train", "--resume", run, "--train.steps", "22")[0] == 0
        after = served.drawn(**SHORT)
    assert (before[0]["step"], after[0]["step"]) == (20, 22)
    assert before[-1]["look"] != after[-1]["look"]


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((3, 4, 4), ""),
        ((4, 4, 4), "3 of 4 channels, as colours: not the image that is meant"),
        ((2, 4, 4), "1 of 2 channels, as colours: not the image that is meant"),
        ((2,), ""),
        ((5,), "2 of 5 numbers"),
        ((1,), "each at a height of its own"),
    ],
)
def test_data_of_any_shape_are_shown_and_what_is_not_is_said(shape, said):
    x = torch.randn(6, *shape, generator=torch.Generator().manual_seed(0))
    spec = DataSpec(shape)
    assert caveat(spec) == said
    shown = look(x, spec, columns=3)
    if len(shape) == 3:
        with Image.open(BytesIO(b64decode(shown["image"].partition(",")[2]))) as image:
            assert image.size == (3 * (64 + GAP) + GAP, 2 * (64 + GAP) + GAP)
            assert image.mode == ("L" if shape[0] == 2 else "RGB")
    else:
        assert [one[0] for one in shown["points"]] == pytest.approx(x[:, 0].tolist(), abs=1e-4)
        assert {len(one) for one in shown["points"]} == {2}
    assert final(x, spec, 3, None).startswith("data:image/png;base64,")
