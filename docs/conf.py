"""Sphinx configuration. Pages that can be made from the code are made from it, at build time."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(Path(__file__).resolve().parent))

import generate  # noqa: E402  # found through the line above
import lessons  # noqa: E402

from xbarc import __version__  # noqa: E402

project = "xbarc"
author = "The xbarc authors"
copyright = author
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.napoleon",
]
exclude_patterns = [
    "_build",
    "transcripts",
    # included by pages, no pages themselves
    "reference/_generated/commands.md",
    "reference/_generated/notebook.md",
    "reference/_generated/options.md",
    "reference/_generated/effects-of-all.md",
    "reference/_generated/program-arrays.md",
    "reference/_generated/program-keys.md",
    "reference/_generated/report-fields.md",
    "reference/_generated/target-list.md",
    "appendix/pairs-table.md",
    "reference/isaac-table.md",
    "reference/converter-savings-front.md",
    "reference/converter-savings-each.md",
    "reference/converter-savings-nets.md",
    "reference/reports-table.md",
    "reference/accuracy-table.md",
    "reference/few-bit-table.md",
    "reference/options-table.md",
    "reference/training-table.md",
    "reference/anchors-table.md",
    "reference/duplication-table.md",
    "reference/binary-table.md",
    "reference/wires-table.md",
]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = f"xbarc {release}"
html_show_copyright = False

autodoc_member_order = "bysource"
autodoc_typehints = "description"  # signatures of keyword-only functions do not fit a line
autodoc_typehints_description_target = "documented"
napoleon_numpy_docstring = False

# Examples run in a folder of their own, so that what they write goes away with it. The models are
# linked into it: the examples read as if they ran at the root of the repository.
doctest_global_setup = f"""
import os, sys, tempfile
import numpy as np
import xbarc
_here = os.getcwd()
_folder = tempfile.TemporaryDirectory()
os.symlink({str(ROOT / "models")!r}, os.path.join(_folder.name, "models"))
os.symlink({str(ROOT / "targets")!r}, os.path.join(_folder.name, "targets"))
os.chdir(_folder.name)
np.set_printoptions(linewidth=100)
from xbarc.cli import main as _main
_stderr = sys.stderr
def command(text):
    import contextlib, io, shlex
    code, err = None, io.StringIO()
    with contextlib.redirect_stderr(err):
        code = _main(shlex.split(text)[1:])
    sys.stdout.write(err.getvalue())
    return code
"""
doctest_global_cleanup = """
os.chdir(_here)
_folder.cleanup()
"""
doctest_test_doctest_blocks = ""  # only marked blocks run: an indented prompt may be a transcript


def add_to_pages_to_follow(app, docname, source):
    """Lessons and guides say what they were run on, and their commands are tested."""
    if not docname.startswith(("tutorial/", "how-to/")) or docname.endswith("/index"):
        return
    source[0] = lessons.say_what_a_page_was_run_on(source[0])
    if app.builder.name == "doctest":
        source[0] = lessons.test_commands(source[0])


def setup(app):
    """Write the generated pages before Sphinx looks for its sources."""
    generate.write_all(Path(app.srcdir) / "reference" / "_generated")
    app.connect("source-read", add_to_pages_to_follow)
    return {"parallel_read_safe": True}
