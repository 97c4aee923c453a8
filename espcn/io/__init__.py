"""Reading and writing pictures and videos, and atomic writes."""
