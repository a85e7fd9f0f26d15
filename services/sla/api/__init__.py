"""The methods of SlaService: unpack, one transaction, pack."""
