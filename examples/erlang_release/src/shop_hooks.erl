%% What happens to every request before and after Python sees it.
-module(shop_hooks).

-export([on_request/1, on_response/1, on_error/2]).

-include_lib("kernel/include/logger.hrl").

%% Prices are changed with the right token only.  The key `role` reaches the
%% application as environ['hornbeam.request']['role'].
-spec on_request(map()) -> map() | {integer(), iodata()}.
on_request(#{path := <<"/admin", _/binary>>, headers := Headers} = Request) ->
    {ok, Token} = application:get_env(shop, admin_token),
    case Headers of
        #{<<"x-token">> := Token} -> Request#{role => <<"admin">>};
        _ -> {403, "not for you\n"}
    end;
on_request(Request) ->
    Request#{role => <<"customer">>}.

-spec on_response(map()) -> map().
on_response(#{headers := Headers} = Response) ->
    Response#{headers := Headers#{<<"x-served-by">> => atom_to_binary(node())}}.

-spec on_error(term(), map()) -> {integer(), iodata()}.
on_error(Error, #{path := Path}) ->
    ?LOG_ERROR("shop: ~ts failed: ~0tp", [Path, Error]),
    {500, "the shop is sorry\n"}.
