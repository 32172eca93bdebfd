%% The prices: a table that Python reads through registered functions.
-module(shop_prices).
-behaviour(gen_server).

-export([start_link/0, get/1, set/2, all/0]).
-export([init/1, handle_call/3, handle_cast/2]).

-spec start_link() -> gen_server:start_ret().
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% In Python call('price', 'apple') is 3, and an unknown name raises CallError.
-spec get(binary()) -> {ok, integer()} | {error, unknown}.
get(Name) ->
    case ets:lookup(?MODULE, Name) of
        [{_, Price}] -> {ok, Price};
        [] -> {error, unknown}
    end.

-spec set(binary(), integer()) -> ok.
set(Name, Price) when is_binary(Name), is_integer(Price), Price >= 0 ->
    gen_server:call(?MODULE, {set, Name, Price}).

-spec all() -> #{binary() => integer()}.
all() ->
    maps:from_list(ets:tab2list(?MODULE)).

-spec init([]) -> {ok, no_state}.
init([]) ->
    ?MODULE = ets:new(?MODULE, [named_table, {read_concurrency, true}]),
    {ok, Prices} = application:get_env(shop, prices),
    true = ets:insert(?MODULE, maps:to_list(Prices)),
    {ok, no_state}.

-spec handle_call({set, binary(), integer()}, gen_server:from(), no_state) -> {reply, ok, no_state}.
handle_call({set, Name, Price}, _From, State) ->
    true = ets:insert(?MODULE, {Name, Price}),
    {reply, hornbeam_state:set(<<"price_changes">>, hornbeam_state:incr(<<"changes">>)), State}.

-spec handle_cast(term(), no_state) -> {noreply, no_state}.
handle_cast(_Message, State) ->
    {noreply, State}.
