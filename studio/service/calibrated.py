"""The temperature by which a student's logits are divided before they are read as probabilities: kept beside the run,
and written into its download."""

import json

from studio import files
from studio.errors import ConfigError
from studio.home import Home

FILE = "calibration.json"


def read(home: Home, run_id: int) -> float | None:
    """The temperature that goes with the student; None where nobody wanted one."""
    file = home.run(run_id) / FILE
    return float(json.loads(file.read_text())["temperature"]) if file.is_file() else None


def write(home: Home, run_id: int, temperature: float | None) -> None:
    """Keep it, or forget it where it is None. Raises `ConfigError` for one that is not above 0."""
    file = home.run(run_id) / FILE
    if temperature is None:
        file.unlink(missing_ok=True)
        return
    if not 0 < temperature < float("inf"):
        raise ConfigError(f"temperature must be above 0, got {temperature}.", "Fit it again.")
    with files.whole_file(file) as part:
        part.write_text(json.dumps({"temperature": temperature, "fitted_on": "validation rows"}))


def lines(home: Home, run_id: int) -> str:
    """What the download's README says of it; "" where nobody wanted one."""
    temperature = read(home, run_id)
    if temperature is None:
        return ""
    return (
        f"\n## Probabilities\n\nDivide the logits by {temperature:.4f} before you read them as probabilities "
        "(temperature scaling; Guo et al., 2017). The number was fitted on validation rows; answers stay the same.\n"
    )
