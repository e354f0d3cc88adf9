"""What people see: printing, tables, mistakes and language."""
