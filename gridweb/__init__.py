"""What people see: pages and the public API over a node (docs/web.md)."""
