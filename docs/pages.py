"""What the site takes from the root: README.md, RESULTS.md and the like, results/, the notebook."""

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PAGES = {name: name for name in ("RESULTS.md", "CHANGELOG.md", "CONTRIBUTING.md")}
PAGES["README.md"] = "index.md"


def on_files(files: Files, config: Any) -> Files:
    """Add the pages, and the plots and tables that they show.

    Args:
        files: The files of docs/.
        config: The site's configuration.

    Returns:
        All files of the site.
    """
    for source, page in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    for path in (*sorted((ROOT / "results").iterdir()), *(ROOT / "notebooks").glob("*.ipynb")):
        name = path.relative_to(ROOT).as_posix()
        files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **kwargs: Any) -> str:
    """Turn links between docs/ and the repository's root into links within the site.

    Args:
        markdown: A page.
        **kwargs: Unused.

    Returns:
        The page.
    """
    markdown = markdown.replace("](docs/", "](").replace("](../", "](")
    return markdown.replace("](README.md", "](index.md")
