"""The gRPC methods, by service: unpack, one transaction, pack."""
