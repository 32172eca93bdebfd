#!/bin/sh
# xref and dialyzer over the application, a TAP line each.  The analysis of
# OTP itself takes a minute: it is kept in the user's cache for the next run.
set -u
ebin="${top_builddir:?}/erlang/ebin"
erl="${ERL:-erl}"
cache="${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/hornbeam"
otp=$("$erl" -noshell -boot no_dot_erlang -eval '
    {ok, V} = file:read_file(filename:join([code:root_dir(), "releases", erlang:system_info(otp_release), "OTP_VERSION"])),
    io:put_chars([string:trim(V)]), halt().' 2>/dev/null)
plt="$cache/dialyzer-${otp:-unknown}.plt"
out=$(mktemp) || exit 99
trap 'rm -f "$out" "$plt.$$"' EXIT INT TERM

# verdict N NAME STATUS: the tool's words follow a failure.
verdict() {
	if [ "$3" -eq 0 ]; then
		echo "ok $1 - $2"
	else
		echo "not ok $1 - $2"
		sed 's/^/# /' "$out"
	fi
}

echo 1..2
EBIN="$ebin" "$erl" -noshell -boot no_dot_erlang -pa "$ebin" -eval '
    {ok, _} = xref:start(x),
    ok = xref:set_default(x, [{warnings, false}, {verbose, false}]),
    ok = xref:set_library_path(x, code:get_path() -- [os:getenv("EBIN")]),
    {ok, _} = xref:add_directory(x, os:getenv("EBIN")),
    Found = [{A, R} || A <- [undefined_function_calls, undefined_functions, locals_not_used, deprecated_function_calls],
                       {ok, R} <- [xref:analyze(x, A)], R =/= []],
    Unused = [MFA || {M, F, N} = MFA <- element(2, xref:analyze(x, exports_not_used)),
                     not lists:member(M, [hornbeam, hornbeam_pubsub, hornbeam_state, hornbeam_app, hornbeam_embedded, hornbeam_epmd]),
                     not lists:member({F, N}, [{start_link, 0}, {start_link, 1}, {start_links, 0}, {start_couriers, 0}, {init, 1}, {init, 2}, {start, 0},
                         {format, 2}, {handle_call, 3}, {handle_cast, 2}, {handle_continue, 2}, {handle_info, 2},
                         {terminate, 2}, {info, 0}])],
    io:format("~p~n~p~n", [Found, Unused]),
    halt(case {Found, Unused} of {[], []} -> 0; _ -> 1 end).' >"$out" 2>&1
verdict 1 "xref finds nothing undefined, unused or deprecated" $?

if [ ! -s "$plt" ]; then
	mkdir -p "$cache"
	dialyzer --build_plt --apps erts kernel stdlib --output_plt "$plt.$$" >"$out" 2>&1
	[ -s "$plt.$$" ] && mv "$plt.$$" "$plt"
fi
dialyzer --plt "$plt" --no_check_plt -Wunmatched_returns -Werror_handling "$ebin"/*.beam >"$out" 2>&1
verdict 2 "dialyzer is clean" $?
