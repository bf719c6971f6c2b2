"""The page about exports is true: its commands and its code run, its table is the command's."""

import re
import shlex
from pathlib import Path
from typing import get_args

from diffx_cli.__main__ import main
from diffx_cli.commands.export import Format

PAGE = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^diffx (.*)$", PAGE, re.MULTILINE)
QUICK = "--train.steps 4 --train.batch-size 16 --dataset.points 64"


def test_the_commands_run_in_their_order_and_then_the_code(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for command in COMMANDS:
        more = QUICK if command.startswith("train") else ""
        assert main([*shlex.split(command), *shlex.split(more)]) == 0, capsys.readouterr().err
    (source,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names = {}
    exec(compile(source, "export.md", "exec"), names)
    expected = names["sample"](
        names["DDIM"](steps=20),
        names["trained"],
        (2,),
        noise=names["NoiseSource"](0, range(100)),
        cond=names["told"],
    )
    names["torch"].testing.assert_close(names["x"], expected, rtol=1e-4, atol=1e-4)


def test_the_table_has_every_format_and_its_files():
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|.*\|$", PAGE, re.MULTILINE)
    assert [name for name, _ in rows] == [*get_args(Format)]
