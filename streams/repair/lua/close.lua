-- Closes a partition for a repair: from here on nobody but the repairer writes it. Makes it where it is gone.
--
-- KEYS[1] {p}:meta
-- ARGV[1] log id   ARGV[2] key, in hexadecimal   ARGV[3] number of partitions   ARGV[4] the new epoch   ARGV[5] the repairer's token
-- ARGV[6] sequence of a partition that has to be made
--
-- Returns 1, or 0 where it was opened in the new epoch already. Errors: NOLOG (another log, or a later epoch), FENCED (a newer
-- repairer is at work).

local meta = redis.call('HMGET', KEYS[1], 'id', 'epoch', 'complete', 'repairing')
if meta[1] and (meta[1] ~= ARGV[1] or tonumber(meta[2]) > tonumber(ARGV[4])) then
  return redis.error_reply('NOLOG holds log ' .. meta[1] .. ' at epoch ' .. meta[2])
end
if meta[1] and meta[2] == ARGV[4] and meta[3] == '1' then return 0 end
if meta[4] and tonumber(meta[4]) > tonumber(ARGV[5]) then
  return redis.error_reply('FENCED by the repairer ' .. meta[4])
end
if not meta[1] then
  redis.call('HSET', KEYS[1], 'id', ARGV[1], 'key', ARGV[2], 'partitions', ARGV[3], 'seq', ARGV[6])
end
redis.call('HSET', KEYS[1], 'epoch', ARGV[4], 'complete', '0', 'repairing', ARGV[5])
return 1
