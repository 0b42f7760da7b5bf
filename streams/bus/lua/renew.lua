-- Renews a gateway's lease in a partition.
-- KEYS[1] gateway leases of the partition   ARGV[1] gateway   ARGV[2] length of a lease, ms
-- Returns 1, or 0 where the lease is gone or has run out: its connections may have been swept by now.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local renewed = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '')
if not renewed or now - renewed > tonumber(ARGV[2]) then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now))
return 1
