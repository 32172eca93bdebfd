%% Prints and logs in every way that a library might.
-module(hb_shout).

-export([all/1]).

all(_Starter) ->
    io:format(user, "to user~n", []),
    io:format("to the leader~n", []),
    true = erlang:display("to descriptor 1"),
    logger:error("to the log").
