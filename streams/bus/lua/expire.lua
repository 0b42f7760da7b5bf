-- Ends a gateway's lease in a partition that has run out, and says so in the presence stream.
-- KEYS[1] presence stream   KEYS[2] gateway leases
-- ARGV[1] gateway   ARGV[2] its last renewal as the caller read it   ARGV[3] length of a lease, ms
-- ARGV[4] how long entries are kept, ms   ARGV[5...] fields and values of the entry
-- Returns 1, or 0 where the lease was renewed, or ended, since.
local renewed = redis.call('HGET', KEYS[2], ARGV[1])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
if renewed ~= ARGV[2] or now - tonumber(renewed) <= tonumber(ARGV[3]) then
  return 0
end
redis.call('HDEL', KEYS[2], ARGV[1])
local keep = string.format('%.0f', now - tonumber(ARGV[4]))
redis.call('XADD', KEYS[1], 'MINID', '~', keep, '*', unpack(ARGV, 5))
return 1
