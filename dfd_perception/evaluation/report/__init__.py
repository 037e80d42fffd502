"""From rows to report.json and report.html."""
