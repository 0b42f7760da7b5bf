-- Takes leases of one partition that are free or have expired, or are the worker's own: it asks only for what it does not
-- know to hold, so the answer to an earlier call was lost. Tokens rise: each is above the last one given, and not
-- below the server's clock in ms, so that they go on rising when the server came back without its last writes.
--
-- KEYS[1]  {p}:leases, hash: consumer -> "worker token expires_ms", and consumer:token -> the last token given
-- ARGV[1]  time to live, ms
-- ARGV[2]  worker
-- ARGV[3], …  consumers
--
-- Returns for each consumer: token, or "0" where another holds it; the worker whose lease had expired, or "".

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local expires = string.format('%.0f', now + tonumber(ARGV[1]))

local result = {}
for i = 3, #ARGV do
  local consumer = ARGV[i]
  local token = '0'
  local worker, _, until_ms = string.match(redis.call('HGET', KEYS[1], consumer) or '', '^(%S+) (%d+) (%d+)$')
  if not worker or worker == ARGV[2] or tonumber(until_ms) <= now then
    local last = tonumber(redis.call('HGET', KEYS[1], consumer .. ':token') or '0')
    token = string.format('%.0f', math.max(last + 1, now))
    redis.call('HSET', KEYS[1], consumer, ARGV[2] .. ' ' .. token .. ' ' .. expires, consumer .. ':token', token)
  end
  result[#result + 1] = token
  result[#result + 1] = token ~= '0' and worker ~= ARGV[2] and worker or ''
end
return result
