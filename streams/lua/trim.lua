-- Trims the stream of one partition.
--
-- KEYS[1] {p}:log   KEYS[2] {p}:meta
-- ARGV[1] log id   ARGV[2] epoch   ARGV[3] sequence up to which the archive is   ARGV[4] stream id before which entries go
--
-- Returns how many entries went; 0 when there is nothing left to trim. Errors: NOLOG (not this log, or not complete),
-- FORKED (the archive has more than Redis).
--
-- Whole nodes go, and a part of them at a time: that costs little and leaves no entries behind that are marked as deleted.

local meta = redis.call('HMGET', KEYS[2], 'id', 'epoch', 'complete', 'seq')
if meta[1] ~= ARGV[1] or meta[2] ~= ARGV[2] or meta[3] ~= '1' then
  return redis.error_reply('NOLOG holds log ' .. tostring(meta[1] or 'none') .. ' at epoch ' .. tostring(meta[2]) .. ', complete ' .. tostring(meta[3]))
end
if tonumber(meta[4]) < tonumber(ARGV[3]) then
  return redis.error_reply('FORKED at ' .. meta[4])
end
return redis.call('XTRIM', KEYS[1], 'MINID', '~', ARGV[4])
