"""Tools that know no city and no resident."""
