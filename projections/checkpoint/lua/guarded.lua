-- Writes what lives outside of the checkpoint's partition. Each write carries the sequence of the event it comes from, and
-- is done only where that is above what the guard has seen.
--
-- KEYS[1] the hash with the guard    KEYS[2…] what else is written, with the same tag
--
-- ARGV[1] name of the guard's field, "~" and the partition    ARGV[2] time to live of KEYS[1] in milliseconds, 0 for ever
-- ARGV[3…] writes, each with the sequence in front; see ops.lua
--
-- Returns what the guard has seen now.
local guard = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '0')
local seen, i = guard, 3
while i <= #ARGV do
  local seq = tonumber(ARGV[i])
  if seq > guard then
    i = run(i + 1)
    seen = math.max(seen, seq)
  else
    i = i + 4 + tonumber(ARGV[i + 3])
  end
end
if seen > guard then
  redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', seen))
  if ARGV[2] ~= '0' then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
  end
end
return seen
