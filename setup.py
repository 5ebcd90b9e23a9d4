"""Where the files of a wheel come from; everything else about the project stands in pyproject.toml.

In a checkout the server's files (`app.py`, `pages/`, `assets/`, `.streamlit/`) lie beside `studio/`. A wheel carries
them inside it, in `studio/_program/`: nobody's site-packages gets a package called `pages`. `studio.service.program`
finds them in both places.
"""

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

SERVER = "studio._program"


class Build(build_py):
    """The top folder holds `app.py`, which is packed, and this file, which is not."""

    def find_package_modules(self, package: str, package_dir: str) -> list[tuple[str, str, str]]:
        return [found for found in super().find_package_modules(package, package_dir) if found[1] != "setup"]


setup(
    cmdclass={"build_py": Build},
    packages=[
        *find_packages(include=["studio", "studio.*"]),
        SERVER,
        *(f"{SERVER}.{package}" for package in find_packages(include=["pages", "pages.*"])),
    ],
    package_dir={SERVER: ".", f"{SERVER}.pages": "pages"},
    package_data={
        "studio": ["py.typed"],
        "studio.language": ["*.po"],
        SERVER: [
            "assets/*.svg",
            "assets/*.css",
            "assets/*.js",
            "assets/demo/*",
            "assets/demo/teachers/*/*",
            ".streamlit/config.toml",
        ],
    },
    include_package_data=False,
)
