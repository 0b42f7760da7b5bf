-- Moves a checkpoint.
-- KEYS[1] checkpoint   ARGV[1] token of the lease   ARGV[2] sequence   ARGV[3] stream id
-- Returns 1, or 0 where the checkpoint was taken under another lease.
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then
  return 0
end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('HSET', KEYS[1], 'seq', ARGV[2], 'id', ARGV[3], 'at', string.format('%.0f', now))
return 1
