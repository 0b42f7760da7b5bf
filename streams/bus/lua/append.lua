-- Appends an entry to a presence stream.
-- KEYS[1] presence stream   ARGV[1] how long entries are kept, ms   ARGV[2...] fields and values
-- Returns the id of the entry. The server's clock decides what is old, because a client's may be wrong by hours.
local time = redis.call('TIME')
local keep = string.format('%.0f', tonumber(time[1]) * 1000 - tonumber(ARGV[1]))
return redis.call('XADD', KEYS[1], 'MINID', '~', keep, '*', unpack(ARGV, 2))
