%% The companion's log: to standard error, a line a message, in the form of
%% the daemon's other processes: "STAMP LEVEL companion[PID]: text".
-module(hornbeam_log).

-export([open/1, format/2]).

%% A reader that hangs costs lines, never time: no process waits for the log.
-define(QUEUE, 500).

%% @doc From now on the log goes to standard error only.
-spec open(logger:level()) -> ok.
open(Level) ->
    _ = [logger:remove_handler(Id) || Id <- logger:get_handler_ids()],
    ok = logger:set_primary_config(level, Level),
    ok = logger:add_handler(hornbeam, logger_std_h, #{
        config => #{
            type => standard_error,
            sync_mode_qlen => ?QUEUE, drop_mode_qlen => ?QUEUE, flush_qlen => 2 * ?QUEUE
        },
        filters => [{progress, {fun logger_filters:progress/2, stop}}],
        formatter => {?MODULE, #{}}
    }).

-spec format(logger:log_event(), logger:formatter_config()) -> unicode:chardata().
format(#{level := Level, meta := #{time := Time}} = Event, _Config) ->
    Stamp = calendar:system_time_to_rfc3339(Time div 1000, [{unit, millisecond}, {offset, "Z"}]),
    Text = logger_formatter:format(Event, #{single_line => true, template => [msg], chars_limit => 3500}),
    [Stamp, $\s, level(Level), " companion[", os:getpid(), "]: ", escape(unicode:characters_to_list(Text)), $\n].

level(Level) when Level =:= debug; Level =:= info; Level =:= warning -> atom_to_list(Level);
level(notice) -> "info";
level(_) -> "error".

escape(Text) ->
    [case C < 32 orelse C =:= 127 of true -> io_lib:format("\\x~2.16.0b", [C]); false -> C end || C <- Text].
