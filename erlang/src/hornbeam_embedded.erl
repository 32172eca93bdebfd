%% The companion as hornbeamd's child: standard input and output are a socket
%% to the master, with packets of one term.  The master sends the
%% configuration, this starts the application and answers {ready, OsPid} or
%% {failed, Text}.  End of file is the end: no companion outlives its master.
-module(hornbeam_embedded).

-export([start/0]).

-include_lib("kernel/include/logger.hrl").

%% -doc For `erl -s hornbeam_embedded`.
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
        Port = open_port({fd, 0, 1}, [{packet, 4}, binary, eof]),
        serve(Port)
    catch
        Class:Reason:Stack ->
            io:format(standard_error, "companion: ~0tp~n", [{Class, Reason, Stack}]),
            halt(1, [{flush, false}])
    end.

serve(Port) ->
    receive
        {Port, {data, Packet}} ->
            case configure(binary_to_term(Packet)) of
                ok ->
                    answer(Port, {ready, list_to_integer(os:getpid())}),
                    serve(Port);
                {error, Text} ->
                    answer(Port, {failed, unicode:characters_to_binary(Text)}),
                    halt(1, [{flush, true}])
            end;
        {Port, eof} ->
            halt(0, [{flush, false}]);
        {'EXIT', Port, _Reason} ->
            halt(0, [{flush, false}]);
        Message ->
            ?LOG_WARNING("embedded: unexpected message ~0tp", [Message]),
            serve(Port)
    end.

answer(Port, Term) ->
    true = port_command(Port, term_to_binary(Term)).

configure(#{link := Link, state := State, log_level := Level, vsn := Vsn}) ->
    ok = hornbeam_log:open(level(Level)),
    ok = application:load(hornbeam),
    case hornbeam_status:vsn() of
        Vsn ->
            ok = application:set_env(hornbeam, link, Link),
            ok = application:set_env(hornbeam, state, State),
            started(application:start(hornbeam, permanent));
        Ours ->
            {error, ["the companion is hornbeam ", Ours, ", hornbeamd is ", Vsn]}
    end;
configure(_Other) ->
    {error, "the configuration lacks link, state, log_level or vsn"}.

started(ok) -> ok;
started({error, Reason}) -> {error, cause(Reason)}.

%% The listener's own words, out of the reports of the supervisors above it.
cause({Who, Text}) when Who =:= listen; Who =:= configuration ->
    Text;
cause({shutdown, Reason}) ->
    cause(Reason);
cause({failed_to_start_child, _Child, Reason}) ->
    cause(Reason);
cause({Reason, {hornbeam_app, start, _}}) ->
    cause(Reason);
cause(Reason) ->
    io_lib:format("~0tp", [Reason]).

level(Level) when is_binary(Level) -> level(binary_to_existing_atom(Level));
level(Level) when is_atom(Level) -> Level.

%% Standard output belongs to the master: whatever some code prints goes to standard error.
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
