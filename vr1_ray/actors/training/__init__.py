"""The trainer's ranks and the reference policy."""
