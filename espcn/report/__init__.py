"""Tables, plots and versions: what results are reported with."""
