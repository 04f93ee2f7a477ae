"""The regression guard: today's ratios beside the recorded ones. Only twice as bad fails.

Ratios, not seconds: they compare across machines, and a busy one slows both sides.
"""

import json
from pathlib import Path
from typing import Any

_RECORDED = Path(__file__).with_name("recorded.json")
_TOLERANCE = 2.0
_SMALLER_IS_WORSE = ("stock / k2",)


def record(ratios: dict[str, dict[str, float]]) -> None:
    """Keep these ratios as the ones to compare with."""
    medians = {name: values["median"] for name, values in ratios.items() if "k2" in name}
    _RECORDED.write_text(json.dumps(medians, indent=2) + "\n")


def regressions(
    ratios: dict[str, dict[str, Any]], recorded: dict[str, float] | None = None
) -> list[str]:
    """Return a sentence for each ratio that is beyond twice its recorded value."""
    wanted = recorded if recorded is not None else json.loads(_RECORDED.read_text())
    found = []
    for name, before in wanted.items():
        if name not in ratios:
            found.append(f"CPU of {name} was not measured.")
            continue
        now = ratios[name]["median"]
        worse = before / now if name in _SMALLER_IS_WORSE else now / before
        print(f"CPU of {name}: {now:.2f}, recorded {before:.2f}")
        if worse > _TOLERANCE:
            found.append(f"CPU of {name} is {now:.2f}; it was {before:.2f}.")
    return found
