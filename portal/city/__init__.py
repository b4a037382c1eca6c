"""The fictional city Minato-hama (湊浜市): its people, organisations, agreements and records, for demonstrations."""
