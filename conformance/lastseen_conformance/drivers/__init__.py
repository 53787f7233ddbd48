"""What plays a case: virtual time, or real sockets."""
