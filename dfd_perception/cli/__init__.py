"""The console script `dfd`: one module for each command."""
