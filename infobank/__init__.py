"""The information bank (情報銀行): residents' data, disclosed only under a permit."""
