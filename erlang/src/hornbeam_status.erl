%% What the companion says about itself: the reply to the operation status.
-module(hornbeam_status).

-export([map/0, vsn/0]).

%% @doc Figures of the state, the links and the node; names are binaries.
-spec map() -> #{binary() => term()}.
map() ->
    #{
        <<"vsn">> => vsn(),
        <<"otp">> => list_to_binary(erlang:system_info(otp_release)),
        <<"node">> => atom_to_binary(node()),
        <<"pid">> => list_to_integer(os:getpid()),
        <<"uptime_ms">> => element(1, erlang:statistics(wall_clock)),
        <<"memory">> => names(maps:from_list(erlang:memory())),
        <<"processes">> => erlang:system_info(process_count),
        <<"atoms">> => erlang:system_info(atom_count),
        <<"schedulers">> => erlang:system_info(schedulers_online),
        <<"state">> => (names(hornbeam_counts:info()))#{<<"leases">> => hornbeam_lease:count()},
        <<"pubsub">> => names(hornbeam_topics:info()),
        <<"functions">> => hornbeam_functions:count(),
        <<"casts">> => hornbeam_casts:count(),
        <<"names">> => #{<<"made">> => hornbeam_names:made(), <<"max">> => hornbeam_names:max()},
        <<"links">> => hornbeam_links:list()
    }.

%% @doc The release of the application.
-spec vsn() -> binary().
vsn() ->
    {ok, Vsn} = application:get_key(hornbeam, vsn),
    list_to_binary(Vsn).

names(Map) ->
    maps:from_list([{atom_to_binary(Name), Value} || {Name, Value} <- maps:to_list(Map)]).
