"""What contact methods, pages, deliveries and receipts mean: pure rules."""
