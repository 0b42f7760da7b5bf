-- Opens a partition that was repaired.
--
-- KEYS[1] {p}:meta   KEYS[2] {p}:seen
-- ARGV[1] log id   ARGV[2] epoch   ARGV[3] the repairer's token   ARGV[4] the server's run id
--
-- Returns 1. Errors: FENCED (not this log, epoch or repairer).

local meta = redis.call('HMGET', KEYS[1], 'id', 'epoch', 'complete', 'repairing', 'seq')
if meta[1] == ARGV[1] and meta[2] == ARGV[2] and meta[3] == '1' then return 1 end
if meta[1] ~= ARGV[1] or meta[2] ~= ARGV[2] or meta[4] ~= ARGV[3] then
  return redis.error_reply('FENCED the partition is at epoch ' .. tostring(meta[2]) .. ', repairer ' .. tostring(meta[4]))
end
redis.call('HSET', KEYS[1], 'complete', '1', 'run', ARGV[4], 'opened', meta[5])
redis.call('HDEL', KEYS[1], 'repairing', 'forked', 'parted')
redis.call('DEL', KEYS[2])
return 1
