"""What a reader sees at the end of a run: curves as PNG, the result table, and one self-contained HTML page."""

from vr1_ray.report.curves import plot_curves
from vr1_ray.report.page import write_report
from vr1_ray.report.table import result_table

__all__ = ["plot_curves", "result_table", "write_report"]
