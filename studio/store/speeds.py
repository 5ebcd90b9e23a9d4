"""The times of a run's models, by how many threads they had, in a form to read."""

from collections.abc import Sequence
from typing import Any

from studio.events import Evaluation

Found = dict[tuple[str, str], Evaluation]
"""What was measured, by role and measure."""

KINDS = {
    "all_cores": "",
    "one_thread": "one_thread_",
    "all_cores_in_onnx_runtime": "onnx_",
    "one_thread_in_onnx_runtime": "onnx_one_thread_",
}
"""What stands before the name of the measure."""


def speed(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """Milliseconds of each model, and how many times as long as the student it takes, with all cores and on one thread,
    as it is and as an ONNX file; where there is one core both are the same."""
    found: Found = {(evaluation.role, evaluation.metric): evaluation for evaluation in evaluations}
    speeds: dict[str, Any] = {}
    for kind, before in KINDS.items():
        timed = {role: evaluation for (role, metric), evaluation in found.items() if metric == f"{before}latency_ms"}
        if timed:
            speeds[kind] = {role: _of_role(found, role, before) for role in timed}
    for after in ("", "_in_onnx_runtime"):
        all_cores = speeds.get(f"all_cores{after}")
        if all_cores and all(timing["threads"] == 1 for timing in all_cores.values()):
            speeds.setdefault(f"one_thread{after}", all_cores)
    return speeds


def _of_role(found: Found, role: str, before: str) -> dict[str, Any]:
    timed = found[role, f"{before}latency_ms"]
    of_32, ratio = found.get((role, f"{before}latency_32_ms")), found.get((role, f"{before}latency_ratio"))
    return {
        "latency_ms": timed.value,
        "latency_32_ms": of_32.value if of_32 else None,
        "times_the_student": {"value": ratio.value, "low": ratio.low, "high": ratio.high} if ratio else None,
        "runtime": timed.runtime,
        "threads": timed.threads,
        "device": timed.device,
    }
