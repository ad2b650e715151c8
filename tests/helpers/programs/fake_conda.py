"""What Snakemake asks of conda, answered by a stand-in, since no registry here has conda itself.

It makes no environment out of what it is given: it keeps the file, and its Python notes which program it runs, and does
so as this machine's. Of venv and pip it notes only what they are asked. What Snakemake asks beyond that, or in another
way, it refuses.
"""

import sys

# The oldest that Snakemake takes is 24.7.1.
CONDA = """#!{python}
import json, shutil, sys

asked = sys.argv[1:]
if asked == ["--version"]:
    print("conda 26.1.0")
elif asked == ["info", "--json"]:
    print(json.dumps({{"conda_prefix": "{root}", "platform": "linux-64"}}))
elif asked == ["config", "--get", "channel_priority", "--json"]:
    print(json.dumps({{"get": {{"channel_priority": "strict"}}}}))
elif asked[:5] == ["env", "create", "--quiet", "--no-default-packages", "--file"] and asked[6] == "--prefix":
    shutil.copy(asked[5], "{root}/environment.yaml")
    shutil.copytree("{root}/environment", asked[7])
elif asked != ["clean", "-y", "--tarballs"]:
    sys.exit(f"a conda of the tests does not know {{asked}}")
"""
PYTHON = """#!/bin/sh
if [ "$1" = -m ]; then
  echo "$@" >> {root}/installed.txt
  [ "$2" != venv ] || {{ mkdir -p "$3/bin" && ln -s "$0" "$3/bin/python"; }}
  exit
fi
echo "$CONDA_PREFIX $1" >> {root}/ran.txt
exec {python} "$@"
"""
ACTIVATE = 'export CONDA_PREFIX="$1" PATH="$1/bin:$PATH"\n'


def install(root):
    """Write it into an empty folder; return the folder that has `conda`."""
    programs, environment = root / "bin", root / "environment" / "bin"
    for folder in (programs, environment):
        folder.mkdir(parents=True)
    _write(programs / "conda", CONDA, root)
    _write(environment / "python", PYTHON, root)
    (programs / "activate").write_text(ACTIVATE, encoding="utf-8")
    return programs


def _write(path, text, root):
    path.write_text(text.format(python=sys.executable, root=root), encoding="utf-8")
    path.chmod(0o755)
