"""Reports of results: tables, plots, versions and HTML pages."""
