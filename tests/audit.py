"""Are there known holes in what the studio stands on? `make audit` asks pip-audit about each installed package.

Exit status 0: none is known. 1: some are, listed. 2: the list of known holes could not be reached, nothing was checked.
"""

import json
import subprocess
import sys

TRY = "Try again where pypi.org itself can be reached, not a mirror of it."


def outcome(stdout: str, stderr: str) -> tuple[int, str]:
    """The exit status, and what to say, of what pip-audit wrote."""
    try:
        packages = json.loads(stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = (stderr.strip().splitlines() or ["it said nothing"])[-1]
        return (
            2,
            f"Nothing was checked: pip-audit could not get the list of known holes ({last}). {TRY}",
        )
    holes = [
        f"{package['name']} {package['version']}: {hole['id']}, mended in {', '.join(hole['fix_versions']) or 'none'}"
        for package in packages
        for hole in package.get("vulns", ())
    ]
    skipped = [
        f"not checked: {package['name']}, {package['skip_reason']}" for package in packages if "skip_reason" in package
    ]
    checked = len(packages) - len(skipped)
    if not checked:
        return 2, f"Nothing was checked: of {len(packages)} packages none is on the list that pip-audit reached. {TRY}"
    told = holes or [f"No known hole in {checked} packages."]
    return bool(holes), "\n".join([*told, *skipped])


def main(packages: str) -> None:
    command = [sys.executable, "-m", "pip_audit", "--path", packages, "--format", "json", "--progress-spinner", "off"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    status, told = outcome(done.stdout, done.stderr)
    print(told, file=sys.stderr if status else sys.stdout)
    sys.exit(status)


if __name__ == "__main__":
    main(sys.argv[1])
