"""Asking a service over HTTP within bounds: time limits, retries, a cap on calls at once. It knows no caller."""
