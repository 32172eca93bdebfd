# Real processes, driven through harness.py.
TESTS += \
	%D%/test_aio.py \
	%D%/test_asgi.py \
	%D%/test_asgi_websocket.py \
	%D%/test_asyncio_app.py \
	%D%/test_attached.py \
	%D%/test_build_run.py \
	%D%/test_cli.py \
	%D%/test_cli_config.py \
	%D%/test_cli_erlang.py \
	%D%/test_cli_faults.py \
	%D%/test_cli_help.py \
	%D%/test_cli_run.py \
	%D%/test_cli_stop.py \
	%D%/test_cli_subscribe.py \
	%D%/test_config.py \
	%D%/test_distribution.py \
	%D%/test_django.py \
	%D%/test_erlang_applications.py \
	%D%/test_example.py \
	%D%/test_example_board.py \
	%D%/test_example_guestbook.py \
	%D%/test_example_release.py \
	%D%/test_faults_asgi.py \
	%D%/test_faults_clients.py \
	%D%/test_faults_companion.py \
	%D%/test_faults_descriptors.py \
	%D%/test_faults_link.py \
	%D%/test_faults_logs.py \
	%D%/test_faults_memory.py \
	%D%/test_faults_pubsub.py \
	%D%/test_faults_rpc.py \
	%D%/test_faults_streams.py \
	%D%/test_faults_values.py \
	%D%/test_faults_websocket.py \
	%D%/test_faults_workers.py \
	%D%/test_fastapi.py \
	%D%/test_flask.py \
	%D%/test_functions.py \
	%D%/test_hooks.py \
	%D%/test_hooks_faults.py \
	%D%/test_http_conformance.py \
	%D%/test_http_connections.py \
	%D%/test_http_faults.py \
	%D%/test_http_forwarded.py \
	%D%/test_http_listeners.py \
	%D%/test_http_responses.py \
	%D%/test_lifespan.py \
	%D%/test_manual.py \
	%D%/test_master_control.py \
	%D%/test_master_faults.py \
	%D%/test_master_start.py \
	%D%/test_long_lived.py \
	%D%/test_max_requests.py \
	%D%/test_nginx.py \
	%D%/test_pool.py \
	%D%/test_pubsub.py \
	%D%/test_python_module.py \
	%D%/test_request_timeout.py \
	%D%/test_side_by_side.py \
	%D%/test_reload.py \
	%D%/test_reload_companion.py \
	%D%/test_reload_faults.py \
	%D%/test_run_reload.py \
	%D%/test_sendfile.py \
	%D%/test_spec_erlang.py \
	%D%/test_spec_state.py \
	%D%/test_websocket_conformance.py \
	%D%/test_spread.py \
	%D%/test_starlette.py \
	%D%/test_worker.py \
	%D%/test_worker_faults.py \
	%D%/test_wsgi.py
EXTRA_DIST += %D%/README %D%/asgi_apps.py %D%/erlang_node.py %D%/asyncio_app.py %D%/conftest.py %D%/evaluator.py %D%/faulty_apps.py %D%/beams.py %D%/harness.py %D%/guide.py %D%/hook_modules.py %D%/http_cases.py %D%/http_client.py %D%/wire.py \
	%D%/nginx.py %D%/sites.py %D%/ws_cases.py %D%/ws_client.py
EXTRA_DIST += tests/data/erlang-integration.md
# The applications of the frameworks' tests.
EXTRA_DIST += \
	%D%/webapps/fastapi_app.py \
	%D%/webapps/flask_app.py \
	%D%/webapps/shop/__init__.py \
	%D%/webapps/shop/admin.py \
	%D%/webapps/shop/asgi.py \
	%D%/webapps/shop/migrations/0001_initial.py \
	%D%/webapps/shop/migrations/__init__.py \
	%D%/webapps/shop/models.py \
	%D%/webapps/shop/settings.py \
	%D%/webapps/shop/static/shop/style.css \
	%D%/webapps/shop/templates/form.html \
	%D%/webapps/shop/urls.py \
	%D%/webapps/shop/views.py \
	%D%/webapps/shop/wsgi.py \
	%D%/webapps/starlette_app.py
