-- Gives leases of one partition back, those that the worker still holds under the given tokens.
--
-- KEYS[1]  {p}:leases, hash: consumer -> "worker token expires_ms", and consumer:token -> the last token given
-- ARGV[1]  worker
-- ARGV[2], ARGV[3], …  consumer, token
--
-- Returns how many were given back.

local released = 0
for i = 2, #ARGV, 2 do
  local worker, token = string.match(redis.call('HGET', KEYS[1], ARGV[i]) or '', '^(%S+) (%d+) %d+$')
  if worker == ARGV[1] and token == ARGV[i + 1] then
    released = released + redis.call('HDEL', KEYS[1], ARGV[i])
  end
end
return released
