"""The gRPC methods of this service: unpack, one transaction, pack."""
