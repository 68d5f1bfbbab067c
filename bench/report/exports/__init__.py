"""A run in the formats of others: tables, metrics, dashboards."""
