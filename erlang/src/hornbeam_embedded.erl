%% The companion as hornbeamd's child: standard input and descriptor 3 are a
%% socket to the master, with packets of one term; standard output is the log,
%% where what NIFs and erlang:display/1 print there does no harm.  The master
%% sends the configuration, this puts it into force and answers {ready, OsPid}
%% or {failed, Text}; then {reload, Number, Part}, and the answer is
%% {reloaded, Number} or {refused, Number, Text}.  End of file is the end: no
%% companion outlives its master.
-module(hornbeam_embedded).

-export([start/0]).

-include_lib("kernel/include/logger.hrl").

%% @doc For `erl -s hornbeam_embedded'.
-spec start() -> ok.
start() ->
    _ = spawn(fun main/0),
    ok.

-spec main() -> no_return().
main() ->
    process_flag(trap_exit, true),
    try
        take_stdout(),
        %% The master decides when the state ends, not a signal that reached the whole process group.
        ok = lists:foreach(fun(S) -> os:set_signal(S, ignore) end, [sighup, sigterm, sigquit, sigusr1, sigusr2]),
        Port = open_port({fd, 0, 3}, [{packet, 4}, binary, eof]),
        serve(Port)
    catch
        Class:Reason:Stack ->
            io:format(standard_error, "companion: ~0tp~n", [{Class, Reason, Stack}]),
            halt(1, [{flush, false}])
    end.

serve(Port) ->
    receive
        {Port, {data, Packet}} ->
            told(Port, binary_to_term(Packet)),
            serve(Port);
        {Port, eof} ->
            ok = hornbeam_applications:stop(),
            halt(0, [{flush, false}]);
        {'EXIT', Port, _Reason} ->
            halt(0, [{flush, false}]);
        Message ->
            ?LOG_WARNING("embedded: unexpected message ~0tp", [Message]),
            serve(Port)
    end.

told(Port, {reload, Number, Configuration}) ->
    case hornbeam_configuration:reload(Configuration) of
        ok -> answer(Port, {reloaded, Number});
        {error, Text} -> answer(Port, {refused, Number, unicode:characters_to_binary(Text)})
    end;
told(Port, Configuration) ->
    case hornbeam_configuration:start(Configuration) of
        ok ->
            answer(Port, {ready, list_to_integer(os:getpid())});
        {error, Text} ->
            answer(Port, {failed, unicode:characters_to_binary(Text)}),
            halt(1, [{flush, true}])
    end.

answer(Port, Term) ->
    true = port_command(Port, term_to_binary(Term)).

%% Whatever some code prints goes to standard error, in order with the log.
take_stdout() ->
    User = whereis(user),
    Printer = spawn_link(fun print/0),
    User =:= undefined orelse unregister(user),
    true = register(user, Printer),
    _ = [group_leader(Printer, P) || P <- processes(), process_info(P, group_leader) =:= {group_leader, User}],
    true = group_leader(Printer, self()).

print() ->
    receive
        {io_request, _, _, _} = Request -> standard_error ! Request;
        Message -> ?LOG_WARNING("user: unexpected message ~0tp", [Message])
    end,
    print().
