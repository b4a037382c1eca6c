"""The roof: composition, command line, pages, migrations."""
