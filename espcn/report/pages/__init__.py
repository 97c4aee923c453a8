"""HTML pages, generated from the files that an evaluation, a run or a sweep has written."""
