"""What the site takes from the repository's root: README.md, RESULTS.md, CHANGELOG.md, results/."""

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PAGES = {"README.md": "index.md", "RESULTS.md": "RESULTS.md", "CHANGELOG.md": "CHANGELOG.md"}


def on_files(files: Files, config: Any) -> Files:
    """Add the pages and what they show.

    Args:
        files: The files of docs/.
        config: The site's configuration.

    Returns:
        All files of the site.
    """
    for source, page in PAGES.items():
        # docs/ is the site's root.
        text = (ROOT / source).read_text(encoding="utf-8").replace("](docs/", "](")
        for name, place in PAGES.items():
            text = text.replace(f"]({name}", f"]({place}")
        files.append(File.generated(config, page, content=text))
    for path in sorted((ROOT / "results").iterdir()):
        files.append(File.generated(config, f"results/{path.name}", abs_src_path=str(path)))
    return files
