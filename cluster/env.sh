# Sourced before every ray command on a node of the cluster.
export PATH="$HOME/robotini_ray/.venv/bin:$PATH"
export RAY_AUTH_MODE=token          # the token is in ~/.ray/auth_token
export RAY_worker_niceness=0        # Ray's own 15 would let simulators starve collectors and learner
export RAY_JOB_STOP_WAIT_TIME_S=30  # `ray job stop` waits for the last checkpoint
