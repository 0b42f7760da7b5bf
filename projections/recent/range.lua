-- Reads a run of a conversation's recent events.
--
-- KEYS[1] {p}:recent:<conversation>    ARGV[1] sequence to begin above    ARGV[2] how many at most
--
-- Returns the first and the last sequence at hand, and a list of elements; see element.go. 0, 0 and none for no key.
local newest = redis.call('LINDEX', KEYS[1], -1)
if not newest then
  return {0, 0, {}}
end
local last = tonumber(string.match(newest, '^%d+'))
local first = last - redis.call('LLEN', KEYS[1]) + 1
local from = math.max(0, tonumber(ARGV[1]) + 1 - first)
return {first, last, redis.call('LRANGE', KEYS[1], from, from + tonumber(ARGV[2]) - 1)}
