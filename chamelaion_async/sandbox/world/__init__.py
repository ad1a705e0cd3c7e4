"""The state of the imitated service: its clock, its jobs, the requests that it received, and its webhooks."""
