"""The rules, by what they look at: areas, meters, and what gateways send. Each is a pure function from columns to alerts."""
