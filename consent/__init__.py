"""What a resident agreed to: agreements, consent records, the ledger, receipts, the decision."""
