"""The ways out, one file each: `send(message)` answers Sent, Retry or Rejected and never raises."""
