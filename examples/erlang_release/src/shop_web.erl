%% The web front: registers the functions that Python calls and serves the
%% application, as long as this process lives.
-module(shop_web).
-behaviour(gen_server).

-export([start_link/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-spec start_link() -> gen_server:start_ret().
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

-spec init([]) -> {ok, pid()} | {stop, term()}.
init([]) ->
    process_flag(trap_exit, true),
    ok = hornbeam:register_function(price, shop_prices, get),
    ok = hornbeam:register_function(set_price, shop_prices, set),
    ok = hornbeam:register_function(prices, fun([]) -> shop_prices:all() end),
    ok = hornbeam:register_function(review, shop_reviews, add),
    {ok, Bind} = application:get_env(shop, bind),
    {ok, Workers} = application:get_env(shop, workers),
    case hornbeam:start("shop:application", #{
        bind => Bind,
        workers => Workers,
        pythonpath => filename:join(os:getenv("SHOP_ROOT", "."), "python"),
        hooks => #{
            on_request => fun shop_hooks:on_request/1,
            on_response => {shop_hooks, on_response},
            on_error => {shop_hooks, on_error}
        }
    }) of
        {ok, Pid} ->
            _ = monitor(process, Pid),
            {ok, Pid};
        {error, Reason} ->
            {stop, Reason}
    end.

-spec handle_call(term(), gen_server:from(), pid()) -> {reply, ok, pid()}.
handle_call(_Request, _From, Pid) ->
    {reply, ok, Pid}.

-spec handle_cast(term(), pid()) -> {noreply, pid()}.
handle_cast(_Message, Pid) ->
    {noreply, Pid}.

%% hornbeamd alone is started again by hornbeam itself; here the process that does so is gone.
-spec handle_info(term(), pid()) -> {noreply, pid()} | {stop, term(), pid()}.
handle_info({'DOWN', _, process, Pid, Reason}, Pid) ->
    {stop, {hornbeam, Reason}, Pid};
handle_info(_Message, Pid) ->
    {noreply, Pid}.

-spec terminate(term(), pid()) -> ok.
terminate(_Reason, _Pid) ->
    _ = hornbeam:stop(),
    ok.
