%% Reviews: taken in Erlang, judged by a model in Python (python/model.py), whose
%% calls the workers share.
-module(shop_reviews).

-export([add/2]).

%% In Python call('review', 'apple', 'crisp and sweet') is {'tone': 0.92, 'good': 1, 'bad': 0}.
-spec add(binary(), binary()) -> {ok, #{binary() => number()}} | {error, unknown}.
add(Name, Text) ->
    case shop_prices:get(Name) of
        {ok, _Price} ->
            Tone = hornbeam:call_python(tone, [Text], 2000),
            Good = count(Name, <<"good">>, Tone >= 0.5),
            Bad = count(Name, <<"bad">>, Tone < 0.5),
            {ok, #{<<"tone">> => Tone, <<"good">> => Good, <<"bad">> => Bad}};
        {error, unknown} ->
            {error, unknown}
    end.

count(Name, Kind, true) -> hornbeam_state:incr(<<"reviews:", Name/binary, ":", Kind/binary>>);
count(Name, Kind, false) -> hornbeam_state:incr(<<"reviews:", Name/binary, ":", Kind/binary>>, 0).
