# Real processes, driven through harness.py.
TESTS += \
	%D%/test_build_run.py \
	%D%/test_cli.py \
	%D%/test_cli_config.py \
	%D%/test_cli_faults.py \
	%D%/test_cli_help.py \
	%D%/test_cli_run.py \
	%D%/test_config.py \
	%D%/test_example.py \
	%D%/test_faults_clients.py \
	%D%/test_faults_companion.py \
	%D%/test_faults_link.py \
	%D%/test_faults_logs.py \
	%D%/test_faults_values.py \
	%D%/test_faults_workers.py \
	%D%/test_http_conformance.py \
	%D%/test_http_connections.py \
	%D%/test_http_forwarded.py \
	%D%/test_master_control.py \
	%D%/test_master_faults.py \
	%D%/test_master_start.py \
	%D%/test_python_module.py \
	%D%/test_reload.py \
	%D%/test_reload_faults.py \
	%D%/test_spec_state.py \
	%D%/test_worker.py \
	%D%/test_worker_faults.py \
	%D%/test_wsgi.py
EXTRA_DIST += %D%/README %D%/conftest.py %D%/evaluator.py %D%/harness.py %D%/http_cases.py %D%/http_client.py %D%/wire.py
