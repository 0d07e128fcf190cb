# Source this file before every `ray` command on a node of the cluster.
export PATH="$HOME/robotini_ray/.venv/bin:$PATH"
export RAY_AUTH_MODE=token          # the token is in ~/.ray/auth_token
export RAY_enable_open_telemetry=0  # with Ray 2.55's newer pipeline the metrics agent may hang on a Prometheus scrape
export RAY_worker_niceness=0        # with Ray's default of 15, simulators would starve collectors and learner
export RAY_JOB_STOP_WAIT_TIME_S=30  # seconds that `ray job stop` waits for the last checkpoint
