%% The parts of a start from Erlang that need no daemon: options, JSON, lines of the log, reasons.
-module(hornbeam_attached_tests).

-include_lib("eunit/include/eunit.hrl").

-export([log/2]).

json(Term) -> iolist_to_binary(hornbeam_json:encode(Term)).

json_has_every_kind_test() ->
    ?assertEqual(<<"[null,true,false,1,-2.5,\"a\",[],{}]">>, json([null, true, false, 1, -2.5, <<"a">>, [], #{}])),
    ?assertEqual(<<"{\"a\":{\"b\":[1]},\"c\":2}">>, json(#{<<"c">> => 2, <<"a">> => #{<<"b">> => [1]}})).

json_escapes_what_yaml_does_not_take_test() ->
    ?assertEqual(<<"\"\\\"\\\\\\u000a\\u007f\\u0085\\u2028\"">>, json(<<"\"\\\n", 127, 16#85/utf8, 16#2028/utf8>>)),
    ?assertEqual(<<"\"", 16#e4/utf8, 16#1f600/utf8, "\"">>, json(<<16#e4/utf8, 16#1f600/utf8>>)).

config(Options) ->
    {ok, #{config := Config}} = hornbeam_attached_options:read(maps:merge(#{mounts => #{"/" => "a:b"}}, Options)),
    Config.

times_are_seconds_or_text_with_a_unit_test() ->
    Request = fun(T) -> maps:get(<<"request">>, maps:get(<<"timeouts">>, config(#{timeout => T}))) end,
    ?assertEqual(<<"30000ms">>, Request(30)),
    ?assertEqual(<<"250ms">>, Request(0.25)),
    ?assertEqual(<<"2h">>, Request("2h")),
    ?assertMatch({error, {bad_option, timeout, _}}, hornbeam_attached_options:read(#{mounts => #{"/" => "a:b"}, timeout => 3601})).

addresses_have_many_forms_test() ->
    Listen = fun(B) -> maps:get(<<"listen">>, config(#{bind => B})) end,
    ?assertEqual([<<"127.0.0.1:80">>], Listen(80)),
    ?assertEqual([<<"[::]:80">>], Listen({{0, 0, 0, 0, 0, 0, 0, 0}, 80})),
    ?assertEqual([<<"0.0.0.0:80">>, <<"unix:/x">>], Listen(["0.0.0.0:80", <<"unix:/x">>])),
    ?assertEqual([<<"10.0.0.1:1">>], Listen(<<"10.0.0.1:1">>)).

options_win_over_config_and_stand_beside_it_test() ->
    Config = config(#{keepalive => 1, config => #{timeouts => #{keepalive => "9s", body => "8s"}, "log" => #{level => debug}}}),
    ?assertEqual(#{<<"keepalive">> => <<"1000ms">>, <<"body">> => <<"8s">>}, maps:get(<<"timeouts">>, Config)),
    ?assertEqual(#{<<"level">> => <<"debug">>, <<"access">> => <<"off">>}, maps:get(<<"log">>, Config)).

a_log_line_is_taken_apart_test() ->
    Line = hornbeam_attached_log:parse(<<"2026-11-22T17:42:36.469Z error worker 0[21918]: app: oh [1]: no">>),
    ?assertEqual(
        #{level => error, process => <<"worker 0">>, pid => <<"21918">>, text => <<"app: oh [1]: no">>,
          time => 1795369356469000},
        Line
    ).

what_is_no_log_line_is_a_notice_test() ->
    Lines = [
        <<>>, <<"hello">>, <<"2026-11-22T17:42:36.469Z error worker">>, <<"2026-11-22T17:42:36.469Z fatal w[1]: x">>,
        <<"2026-11-22T17:42:36.469Z info w[x]: y">>, <<"2026-99-22T17:42:36.469Z info w[1]: y">>,
        <<"127.0.0.1 - - [22/Nov/2026:17:40:58 +0000] \"GET / HTTP/1.1\" 200 2">>
    ],
    [?assertEqual(#{level => notice, text => L}, hornbeam_attached_log:parse(L)) || L <- Lines].

no_bytes_break_the_reading_of_lines_test() ->
    _ = rand:seed(exsss, 7),
    [
        begin
            #{level := _, text := Text} = hornbeam_attached_log:parse(rand:bytes(rand:uniform(200))),
            true = is_binary(unicode:characters_to_binary(Text))
        end
     || _ <- lists:seq(1, 2000)
    ].

%% As a handler of the logger.
log(#{msg := {_, [Dropped]}, level := warning}, #{config := Tester}) -> Tester ! {dropped, Dropped};
log(_Line, _Handler) -> ok.

a_flood_that_goes_on_is_told_of_meanwhile_test_() ->
    {timeout, 60, fun() ->
        ok = logger:add_handler(?MODULE, ?MODULE, #{config => self(), filter_default => stop, filters => [{ours, {fun ours/2, none}}]}),
        ok = logger:set_handler_config(default, level, error),
        ok = logger:set_module_level(hornbeam_attached_log, warning),
        Log = hornbeam_attached_log:start_link(),
        try
            ?assertEqual(ok, flood(Log, hornbeam_clock:ms() + 20000, 2))
        after
            ok = hornbeam_attached_log:stop(Log),
            ok = logger:unset_module_level(hornbeam_attached_log),
            ok = logger:set_handler_config(default, level, all),
            ok = logger:remove_handler(?MODULE)
        end
    end}.

ours(#{meta := #{mfa := {hornbeam_attached_log, _, _}}} = Line, none) -> Line;
ours(_Line, none) -> stop.

%% 1000 lines a second until their loss was told so often.
flood(_Log, _End, 0) ->
    ok;
flood(Log, End, Times) ->
    ok = hornbeam_attached_log:line(#{level => warning, text => <<"flood">>}, Log),
    receive
        {dropped, N} when is_integer(N) -> flood(Log, End, Times - 1);
        {dropped, _} -> flood(Log, End, Times)
    after 1 ->
        case hornbeam_clock:ms() < End of
            true -> flood(Log, End, Times);
            false -> untold
        end
    end.

last(Lines) ->
    lists:foldl(fun(L, Last) -> hornbeam_attached_reason:heard(L, Last) end, hornbeam_attached_reason:none(), Lines).

error_of(Process, Text) ->
    #{level => error, process => Process, text => Text}.

a_reason_is_the_status_and_the_last_error_test() ->
    File = "/run/x/hornbeam.json",
    Master = error_of(<<"master">>, [<<"hornbeamd: /run/x/hornbeam.json:3: ">>, "listen: no"]),
    Worker = error_of(<<"worker 0">>, <<"worker: shop: no module">>),
    App = error_of(<<"worker 0">>, <<"app: oh">>),
    Of = fun(Status, Lines) -> hornbeam_attached_reason:of_end(Status, File, last(Lines)) end,
    ?assertEqual({ended, <<"killed by signal 9">>}, Of(137, [App, #{level => notice, text => <<"x">>}])),
    ?assertEqual({ended, <<"ended">>}, Of(unknown, [])),
    ?assertEqual({configuration, <<"listen: no">>}, Of(78, [Worker, Master])),
    ?assertEqual({address, <<"in use">>}, Of(73, [Master, error_of(<<"master">>, <<"in use">>)])),
    ?assertEqual({application, <<"shop: no module">>}, Of(70, [Worker, App, Master])),
    ?assertEqual({application, <<"exit status 70">>}, Of(70, [])).

the_last_words_are_the_workers_before_the_masters_test() ->
    Words = fun(Lines) -> iolist_to_binary(hornbeam_attached_reason:last_words(last(Lines))) end,
    Master = error_of(<<"master">>, <<"no">>),
    ?assertEqual(<<>>, Words([])),
    ?assertEqual(<<"; the last error of its log: no">>, Words([Master])),
    ?assertEqual(<<"; the last error of its log: why">>, Words([error_of(<<"worker 1">>, <<"worker: why">>), Master])).
