-- Writes events into a partition that is being repaired, and what stands beside them, all or nothing.
--
-- KEYS[1] {p}:log   KEYS[2] {p}:meta   KEYS[3] {p}:due   KEYS[4…] {p}:agg:<id> of each aggregate; {p}:idem:<n> of each request
-- ARGV[1] log id   ARGV[2] epoch   ARGV[3] the repairer's token   ARGV[4] sequence that the partition has   ARGV[5] and gets
-- ARGV[6…11] how many events, aggregates, timers set and taken off, requests, and fields of {p}:meta follow
-- ARGV[12…] stream id ('*' for the next), id, metadata and payload of each event; of each aggregate how many fields are set and
-- deleted, then names and values, then names; time and name of each timer; name of each that is taken off; field and value of each
-- request; name and value of each field of {p}:meta ('' deletes it)
--
-- Returns the stream id of the last event, '' without any. Errors: FENCED (not this log, epoch, repairer or sequence).
-- The first XADD fails before anything is written where the stream is already behind its address.

local ARGV, call = ARGV, redis.call
local meta = call('HMGET', KEYS[2], 'id', 'epoch', 'repairing', 'seq')
if meta[1] ~= ARGV[1] or meta[2] ~= ARGV[2] or meta[3] ~= ARGV[3] or meta[4] ~= ARGV[4] then
  return redis.error_reply('FENCED the partition is at epoch ' .. tostring(meta[2]) .. ', event ' .. tostring(meta[4]) .. ', repairer ' .. tostring(meta[3]))
end

local at, key, last = 11, 3, ''
local function take()
  at = at + 1
  return ARGV[at]
end
-- Calls a command with so many arguments, a thousand at a time.
local function each(command, of, n)
  for first = at + 1, at + n, 1000 do
    call(command, of, unpack(ARGV, first, math.min(first + 999, at + n)))
  end
  at = at + n
end
for _ = 1, tonumber(ARGV[6]) do
  last = call('XADD', KEYS[1], take(), '_watermill_message_uuid', take(), 'metadata', take(), 'payload', take())
end
for _ = 1, tonumber(ARGV[7]) do
  key = key + 1
  local sets, deletes = 2 * tonumber(take()), tonumber(take())
  each('HSET', KEYS[key], sets)
  each('HDEL', KEYS[key], deletes)
end
each('ZADD', KEYS[3], 2 * tonumber(ARGV[8]))
each('ZREM', KEYS[3], tonumber(ARGV[9]))
for _ = 1, tonumber(ARGV[10]) do
  key = key + 1
  call('HSET', KEYS[key], take(), take())
end
call('HSET', KEYS[2], 'seq', ARGV[5])
for _ = 1, tonumber(ARGV[11]) do
  local name, value = take(), take()
  if value == '' then call('HDEL', KEYS[2], name) else call('HSET', KEYS[2], name, value) end
end
return last
