-- Takes keys of a partition that is being repaired away.
--
-- KEYS[1] {p}:meta   KEYS[2…] what goes
-- ARGV[1] log id   ARGV[2] epoch   ARGV[3] the repairer's token
--
-- Returns how many there were. Errors: FENCED (not this log, epoch or repairer).

local meta = redis.call('HMGET', KEYS[1], 'id', 'epoch', 'repairing')
if meta[1] ~= ARGV[1] or meta[2] ~= ARGV[2] or meta[3] ~= ARGV[3] then
  return redis.error_reply('FENCED the partition is at epoch ' .. tostring(meta[2]) .. ', repairer ' .. tostring(meta[3]))
end
local gone = 0
for i = 2, #KEYS do gone = gone + redis.call('UNLINK', KEYS[i]) end
return gone
