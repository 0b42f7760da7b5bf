-- Writes decision state and timers as the events of an aggregate come to, unless more of it was appended meanwhile.
--
-- KEYS[1] {p}:agg:<id>   KEYS[2] {p}:meta   KEYS[3] {p}:log   KEYS[4] {p}:due
-- ARGV[1] log id   ARGV[2] epoch   ARGV[3] sequence up to which events were folded   ARGV[4] aggregate, '' for timers of nobody
-- ARGV[5…8] how many fields are set and deleted, timers set and taken off   ARGV[9…] name and value of each field set; name of each
-- field deleted; name and time in milliseconds of each timer; name of each taken off
--
-- Returns 1, or 0 where an event of the aggregate came behind that sequence, or so many events that they are not looked at.
-- Errors: NOLOG (not this log), FORKED (Redis has less than was folded).

local meta = redis.call('HMGET', KEYS[2], 'id', 'epoch', 'seq')
if meta[1] ~= ARGV[1] or meta[2] ~= ARGV[2] then
  return redis.error_reply('NOLOG holds log ' .. tostring(meta[1] or 'none') .. ' at epoch ' .. tostring(meta[2]))
end
local since = tonumber(meta[3]) - tonumber(ARGV[3])
if since < 0 then
  return redis.error_reply('FORKED at ' .. meta[3])
end
if since > 0 and ARGV[4] ~= '' then
  if since > 2000 then return 0 end
  for _, entry in ipairs(redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', since)) do
    local metadata = entry[2][4]
    if not metadata or string.find(metadata, ARGV[4], 1, true) then return 0 end
  end
end

local at = 8
-- Calls a command with so many arguments, a thousand at a time.
local function each(command, key, n)
  for first = at + 1, at + n, 1000 do
    redis.call(command, key, unpack(ARGV, first, math.min(first + 999, at + n)))
  end
  at = at + n
end
each('HSET', KEYS[1], 2 * tonumber(ARGV[5]))
each('HDEL', KEYS[1], tonumber(ARGV[6]))
for _ = 1, tonumber(ARGV[7]) do
  redis.call('ZADD', KEYS[4], ARGV[at + 2], ARGV[at + 1])
  at = at + 2
end
each('ZREM', KEYS[4], tonumber(ARGV[8]))
return 1
