"""What is sent: frames, events and commands over sockets."""
