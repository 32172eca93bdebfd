%% The link's frames and operations, as HACKING's section "The link" tells
%% them.  src/link/proto.h holds the same numbers; a test compares the two.

-define(HB_LINK_VERSION, 1).
-define(HB_LINK_HEADER, 16).
-define(HB_LINK_FRAME_MAX, 16777216).
-define(HB_LINK_PART_MAX, 1048576).

-define(HB_LINK_REPLY, 1).
-define(HB_LINK_MORE, 2).
-define(HB_LINK_ERROR, 4).

-define(HB_OP_HELLO, 1).
-define(HB_OP_PING, 2).
-define(HB_OP_STATUS, 3).
-define(HB_OP_GET, 16).
-define(HB_OP_SET, 17).
-define(HB_OP_ADD, 18).
-define(HB_OP_REPLACE, 19).
-define(HB_OP_DELETE, 20).
-define(HB_OP_INCR, 21).
-define(HB_OP_GET_MULTI, 22).
-define(HB_OP_SET_MULTI, 23).
-define(HB_OP_KEYS, 24).
-define(HB_OP_GETS, 25).
-define(HB_OP_CAS, 26).
-define(HB_OP_EXPIRE, 27).
-define(HB_OP_TTL, 28).
-define(HB_OP_EXISTS, 29).
-define(HB_OP_FETCH, 30).
-define(HB_OP_FETCH_PUT, 31).
-define(HB_OP_FETCH_DROP, 32).
-define(HB_OP_PUBLISH, 48).
-define(HB_OP_SUBSCRIBE, 49).
-define(HB_OP_TOPICS, 50).
-define(HB_OP_MESSAGE, 51).
-define(HB_OP_GAP, 52).
-define(HB_OP_MISSED, 53).
-define(HB_OP_CALL, 64).
-define(HB_OP_CAST, 65).
-define(HB_OP_FUNCTIONS, 66).
-define(HB_OP_RPC_CALL, 67).
-define(HB_OP_RPC_CAST, 68).
-define(HB_OP_NODE, 69).
-define(HB_OP_NODES, 70).
-define(HB_OP_CANCEL, 71).
-define(HB_OP_ON_REQUEST, 80).
-define(HB_OP_ON_RESPONSE, 81).
-define(HB_OP_ON_ERROR, 82).
-define(HB_OP_PROVIDE, 96).
-define(HB_OP_RUN, 97).
-define(HB_OP_RAN, 98).
-define(HB_OP_STOP, 99).

%% Answered by the master, at the control socket.
-define(HB_OP_LINK, 128).
-define(HB_OP_MASTER_STATUS, 129).
-define(HB_OP_WORKERS, 130).
-define(HB_OP_MASTER_PING, 131).
-define(HB_OP_RELOAD, 132).
-define(HB_OP_MASTER_STOP, 133).
-define(HB_OP_REOPEN_LOGS, 134).
