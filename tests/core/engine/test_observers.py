"""What observers write about a run, also when it is resumed or has crashed."""

import io
import json
import tracemalloc

import pytest
import torch

from diffx_core import Logger
from diffx_core.engine.events import Bin, Finished, Sampled, Saved, Started, Stepped, Validated
from diffx_core.engine.observers import Logged, MetricsFile, Progress, Told, read_metrics

BINS = (Bin(-8.0, -2.5, 0.5, 3), Bin(-2.5, 4.0, float("nan"), 0))


def stepped(step, *, loss=0.5, seconds=None):
    return Stepped(step, loss, 0.25, 2.0, float(step) if seconds is None else seconds)


def run(observer, *, steps=20, start=0, reason=""):
    """A run of ten examples a step, a second each."""
    observer(Started(steps, 10, 1000, start))
    for step in range(start + 1, steps + 1):
        observer(stepped(step, seconds=float(step - start)))
    observer(Finished(steps, float(steps - start), reason))


def steps_of(path):
    return [row["step"] for row in map(json.loads, path.read_text().splitlines())]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "metrics.jsonl"


class TestMetricsFile:
    def test_a_step_is_a_line_with_its_figures(self, path):
        run(MetricsFile(path, every=10), steps=25)
        assert steps_of(path) == [1, 10, 20, 25]
        assert json.loads(path.read_text().splitlines()[1]) == {
            "step": 10,
            "loss": 0.5,
            "lr": 0.25,
            "grad_norm": 2.0,
            "seconds": 10.0,
            "examples_per_second": 10.0,
        }

    def test_a_look_at_held_out_examples_is_a_line_and_what_is_not_finite_is_null(self, path):
        metrics = MetricsFile(path)
        metrics(Started(10, 10, 1000))
        metrics(Validated(4, 0.75, BINS))
        assert json.loads(path.read_text()) == {
            "step": 4,
            "validation_loss": 0.75,
            "bins": [
                {"low": -8.0, "high": -2.5, "loss": 0.5, "count": 3},
                {"low": -2.5, "high": 4.0, "loss": None, "count": 0},
            ],
        }

    def test_a_resumed_run_has_no_step_twice_and_tells_its_own_pace(self, path):
        run(MetricsFile(path, every=5), steps=20)
        run(MetricsFile(path, every=5), steps=30, start=12)
        assert steps_of(path) == [1, 5, 10, 15, 20, 25, 30]
        assert {row["examples_per_second"] for row in read_metrics(path)} == {10.0}

    def test_an_end_before_the_last_step_is_a_line_until_the_run_goes_on(self, path):
        metrics = MetricsFile(path, every=5)
        run(metrics, steps=10, reason="0.5 hours are over")
        assert read_metrics(path)[-1] == {"step": 10, "ended": "0.5 hours are over"}
        metrics(Started(20, 10, 1000, 10))
        assert steps_of(path) == [1, 5, 10]
        metrics(Finished(10, 1.0))
        assert steps_of(path) == [1, 5, 10]

    @pytest.mark.parametrize(
        "torn",
        [
            *(b'{"step": 11, "lo', b'{"step": 11}{"st', b"\x00\x00\xff", b"[11]", b"7", b"{}"),
            *(b'{"step": true}', b'{"step": -1}', b'{"step": 1%0400d}' % 0),
        ],
    )
    def test_a_line_that_a_crash_left_unfinished_is_dropped(self, path, torn):
        path.write_bytes(b'{"step": 10, "loss": 1.0}\n' + torn)
        assert read_metrics(path) == [{"step": 10, "loss": 1.0}]
        run(MetricsFile(path, every=5), steps=20, start=10)
        assert steps_of(path) == [10, 15, 20]

    def test_lines_are_read_one_at_a_time(self, path):
        line = b'{"step": 1}' + b" " * 2**20 + b"\n"
        path.write_bytes(line * 20)
        tracemalloc.start()
        rows = read_metrics(path)
        MetricsFile(path)(Started(20, 10, 1000, 10))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(rows) == 20
        assert len({id(name) for row in rows for name in row}) == 1
        assert most < 5 * len(line)

    def test_a_complete_last_line_without_its_newline_is_kept(self, path):
        path.write_text('{"step": 10}')
        run(MetricsFile(path, every=5), steps=15, start=10)
        assert steps_of(path) == [10, 15]

    def test_what_is_cut_off_is_cut_off_in_one_step(self, path, monkeypatch):
        run(MetricsFile(path, every=5), steps=20)
        before, notes = path.read_text(), []

        def crash(*_):
            raise OSError("no space")

        monkeypatch.setattr("pathlib.Path.replace", crash)
        Told([MetricsFile(path)], notes.append)(Started(20, 10, 1000, 10))
        assert path.read_text() == before
        assert [file.name for file in path.parent.iterdir()] == [path.name]
        assert notes == ["metrics.jsonl is switched off, the run goes on: OSError: no space"]


class TestProgress:
    def text(self, **options):
        stream = io.StringIO()
        run(Progress(stream), **options)
        return stream.getvalue().splitlines()

    def test_a_plain_line_says_everything(self):
        first, *_, last, end = self.text(steps=20)
        assert first.startswith("step 2/20  loss 0.5000  lr 0.25  grad 2  10 examples/s  ")
        assert first.endswith("GB  18 s left")
        assert last.startswith("step 20/20  ")
        assert end == "20 steps in 20 s"

    def test_a_resumed_run_goes_on_at_its_step_and_its_own_pace(self):
        first, *_, end = self.text(steps=200, start=100)
        assert first.startswith("step 120/200  ")
        assert " 10 examples/s " in first
        assert first.endswith("1 min 20 s left")
        assert end == "100 steps in 1 min 40 s, 200 in all"

    def test_a_run_that_ends_early_says_why(self):
        stream = io.StringIO()
        progress = Progress(stream)
        progress(Started(20, 10, 1000))
        progress(stepped(1))
        progress(Finished(1, 3600.0, "SIGTERM"))
        assert stream.getvalue() == "1 step in 1 h; the run ended before step 20: SIGTERM\n"

    def test_the_held_out_loss_is_shown_from_the_first_look_on(self):
        stream = io.StringIO()
        progress = Progress(stream, lines=20)
        progress(Started(20, 10, 1000))
        progress(stepped(1))
        progress(Validated(1, 0.75))
        progress(stepped(2))
        first, second = stream.getvalue().splitlines()
        assert "held out" not in first
        assert "loss 0.5000  held out 0.7500" in second

    def test_the_bar_of_a_resumed_run_begins_where_it_goes_on(self):
        class Terminal(io.StringIO):
            def isatty(self):
                return True

        stream = Terminal()
        run(Progress(stream), steps=20, start=15)
        assert " 15/20" in stream.getvalue().partition("\r")[2][:80]
        assert " 20/20" in stream.getvalue()
        assert "grad 2, 10 examples/s" in stream.getvalue()

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [
            (0.2, "0 s"),
            (59.6, "1 min"),
            (125, "2 min 5 s"),
            (3600 * 3 + 1219, "3 h 20 min"),
            (86400 * 2 + 5, "2 d"),
        ],
    )
    def test_times_have_two_units(self, seconds, text):
        stream = io.StringIO()
        progress = Progress(stream)
        progress(Started(20, 10, 1000))
        progress(Finished(20, seconds))
        assert stream.getvalue() == f"20 steps in {text}\n"


class Heard(Logger):
    def __init__(self):
        self.calls = []

    def start(self, folder, config, step):
        self.calls.append(("start", folder, dict(config), step))

    def scalars(self, step, values):
        self.calls.append(("scalars", step, dict(values)))

    def images(self, step, images):
        self.calls.append(("images", step, images))

    def finish(self, status):
        self.calls.append(("finish", status))


class TestLogged:
    def test_a_logger_is_told_everything_in_order(self, tmp_path):
        logger, images = Heard(), torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
        logged = Logged(logger, "logger heard", tmp_path, {"seed": 0}, every=10)
        logged(Started(20, 10, 1000, 8))
        for step in (9, 10):
            logged(stepped(step, seconds=float(step - 8)))
        logged(Validated(10, 0.75, BINS))
        logged(Sampled(10, images))
        logged(Saved(10, tmp_path))
        logged(Finished(10, 2.0, "SIGTERM"))
        figures = {"loss": 0.5, "lr": 0.25, "grad_norm": 2.0, "examples_per_second": 10.0}
        held_out = {"validation/loss": 0.75, "validation/bin_1": 0.5}
        assert logger.calls == [
            ("start", tmp_path, {"seed": 0}, 8),
            ("scalars", 10, figures),
            ("scalars", 10, held_out),
            ("images", 10, images),
            ("finish", "SIGTERM"),
        ]

    def test_a_run_that_takes_all_steps_is_finished(self, tmp_path):
        logger = Heard()
        run(Logged(logger, "logger heard", tmp_path), steps=2)
        assert logger.calls[-1] == ("finish", "finished")

    def test_one_that_fails_is_named_and_told_nothing_more(self, tmp_path):
        class Full(Heard):
            def scalars(self, step, values):
                super().scalars(step, values)
                raise OSError(28, "No space left on device")

        logger, notes = Full(), []
        label = "logger full (diffx-full 1.0)"
        run(Told([Logged(logger, label, tmp_path, every=1)], notes.append), steps=3)
        assert [call[0] for call in logger.calls] == ["start", "scalars"]
        (note,) = notes
        assert note.startswith(f"{label} is switched off, the run goes on: No space left on device")
