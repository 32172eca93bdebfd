#!/usr/bin/env escript
%% release.escript DIR EBIN...: a release in DIR of the applications in the EBIN
%% directories and those of OTP that they need.  The Erlang runtime is the system's.

main([Dir | Ebins]) ->
    Apps = [install(Dir, Ebin) || Ebin <- Ebins],
    {_, Vsn, _} = lists:keyfind(shop, 1, Apps),
    Releases = filename:join([Dir, "releases", Vsn]),
    ok = filelib:ensure_dir(filename:join(Releases, "x")),
    Name = filename:join(Releases, "shop"),
    Release = {release, {"shop", Vsn}, {erts, erlang:system_info(version)},
               [otp(kernel), otp(stdlib), otp(sasl) | [{App, V} || {App, V, _} <- Apps]]},
    ok = file:write_file(Name ++ ".rel", io_lib:format("~tp.~n", [Release])),
    %% $SHOP_ROOT stands for DIR in the boot script, so that the release can be moved.
    ok = systools:make_script(Name, [
        {path, [Ebin || {_, _, Ebin} <- Apps]}, {variables, [{"SHOP_ROOT", filename:absname(Dir)}]}, {outdir, Releases}
    ]),
    copy("sys.config", filename:join(Releases, "sys.config"), 8#644),
    [copy(F, filename:join(Dir, F), 8#644) || F <- filelib:wildcard("python/*.py")],
    copy("shop.sh", filename:join([Dir, "bin", "shop"]), 8#755).

%% Copies an application to DIR/lib/NAME-VSN.
install(Dir, Ebin) ->
    [File] = filelib:wildcard(filename:join(Ebin, "*.app")),
    {ok, [{application, App, Keys}]} = file:consult(File),
    Vsn = proplists:get_value(vsn, Keys),
    To = filename:join([filename:absname(Dir), "lib", lists:concat([App, "-", Vsn]), "ebin"]),
    [copy(F, filename:join(To, filename:basename(F)), 8#644) || F <- filelib:wildcard(filename:join(Ebin, "*.{app,beam}"))],
    {App, Vsn, To}.

otp(App) ->
    _ = application:load(App),
    {ok, Vsn} = application:get_key(App, vsn),
    {App, Vsn}.

copy(From, To, Mode) ->
    ok = filelib:ensure_dir(To),
    {ok, _} = file:copy(From, To),
    ok = file:change_mode(To, Mode).
