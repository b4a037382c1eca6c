"""The incident desk: alerts, triage, incidents, containment."""
