"""What was found in samples, kept batch by batch as they are drawn."""

import json
from pathlib import Path

from attrs import frozen
from torch import Tensor

from diffx_cli.evaluate.looking import Found
from diffx_cli.output.kept import Kept
from diffx_core.engine.ranks import Ranks
from diffx_metrics.features.seen import Seen

FOUND = ".found"
"""The hidden folder in that of an evaluation."""
EXAMPLES, FEATURES, LOGITS = "examples", "features", "logits"


@frozen
class Findings(Kept):
    """What was found so far."""

    def take(self, part: int, found: Found) -> None:
        """Keep what was found in a batch."""
        numbers: dict[str, Tensor] = {}
        for kind, one in found.seen.items():
            numbers[f"{FEATURES}.{kind}"] = one.features
            if one.logits is not None:
                numbers[f"{LOGITS}.{kind}"] = one.logits
        if found.examples is not None:
            numbers[EXAMPLES] = found.examples.clone()  # features may be a view of them
        self.keep(part, {"n": len(found)}, numbers)

    def joined(self) -> Found:
        """All of them, in their order."""
        return Found.joined((self._found(i) for i in range(len(self.parts))), Ranks())

    def _found(self, part: int) -> Found:
        numbers = self.numbers(part)
        kinds = [name.partition(".")[2] for name in numbers if name.startswith(f"{FEATURES}.")]
        seen = {
            one: Seen(numbers[f"{FEATURES}.{one}"], numbers.get(f"{LOGITS}.{one}")) for one in kinds
        }
        return Found(seen, numbers.get(EXAMPLES))


def work_of(findings: Findings | None) -> str:
    """What is to be done for some findings, for the other processes."""
    if findings is None:
        return ""
    return json.dumps({"folder": str(findings.folder.resolve()), "todo": findings.missing()})


def folder_of(work: str) -> tuple[Path, list[int]]:
    """The folder, and which parts are to be done."""
    said = json.loads(work)
    return Path(said["folder"]), said["todo"]
